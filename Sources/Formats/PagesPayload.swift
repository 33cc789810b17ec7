// What a record of pages holds inside its seal and its compression: the pages that one transaction changed.
//
// A page is the difference to the version that it replaces, or to a page of zeros where there is none to rely on. It
// names the index of its base and the hash of its result; another base or result is damage. The 32 reserved bytes of a
// page are its seal's and always zero here.

public import Base

public struct PageChange: Sendable, Equatable {
  public var number: PageNumber
  /// XXH64 of the resulting page.
  public var hash: UInt64
  /// Index at which the version was made that `difference` starts from; 0 for a page of zeros.
  public var base: LogIndex
  public var difference: PageDifference

  public init(number: PageNumber, hash: UInt64, base: LogIndex, difference: PageDifference) {
    self.number = number
    self.hash = hash
    self.base = base
    self.difference = difference
  }

  public static let zeros = [UInt8](repeating: 0, count: Limits.pageBytes)
}

public struct PagesPayload: Sendable, Equatable {
  /// Pages of the database after the whole transaction.
  public var databasePages: UInt32
  /// Sorted by number, each at most once.
  public var changes: [PageChange]

  static let entryBytes = 24
  /// The largest payload before compression; runs may be a little longer than a page.
  public static let byteCountMax = 8 + Limits.recordPagesMax * (entryBytes + 2 * Limits.pageBytes)

  public init(databasePages: UInt32, changes: [PageChange]) {
    self.databasePages = databasePages
    self.changes = changes
  }

  public func encode() -> [UInt8] {
    var e = PagesEncoder(databasePages: databasePages, count: changes.count)
    for change in changes { e.put(change) }
    return e.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    var r = ByteReader(bytes)
    do {
      databasePages = try r.take()
      let count = Int(try r.take(UInt32.self))
      guard count <= Limits.recordPagesMax else { throw FormatError(.limit, "\(count) pages in a record", at: 4) }
      var last: PageNumber = 0
      var changes: [PageChange] = []
      changes.reserveCapacity(count)
      for _ in 0..<count {
        let change = try Self.change(&r)
        guard change.number > last, Int(change.number) <= Limits.databasePagesMax else {
          throw FormatError(.damaged, "page \(change.number) after page \(last)", at: r.offset)
        }
        last = change.number
        changes.append(change)
      }
      try r.finish()
      self.changes = changes
    } catch let error as BytesError {
      throw FormatError(error)
    } catch let error as FormatError {
      throw error
    } catch {
      fatalError("no other error is thrown: \(error)")
    }
  }

  private static func change(_ r: inout ByteReader) throws -> PageChange {
    let number: PageNumber = try r.take()
    let hash: UInt64 = try r.take()
    let base: LogIndex = try r.take()
    let difference = try PageDifference(runs: try r.takeString(limit: 2 * Limits.pageBytes))
    return PageChange(number: number, hash: hash, base: base, difference: difference)
  }
}

/// Writes a payload page by page, without a copy of any in between: every commit goes through it.
public struct PagesEncoder {
  private var w: ByteWriter

  /// For `count` pages, which are put in the order of their numbers.
  public init(databasePages: UInt32, count: Int) {
    w = ByteWriter(capacity: 8 + count * (PagesPayload.entryBytes + 1024))
    w.put(databasePages)
    w.put(UInt32(count))
  }

  public var bytes: [UInt8] { w.bytes }

  public mutating func put(_ change: PageChange) {
    head(change.number, change.hash, change.base)
    w.put(string: change.difference.runs)
  }

  /// The difference from `old`, the version of index `base`, to `new`.
  public mutating func put(_ number: PageNumber, hash: UInt64, base: LogIndex, from old: [UInt8], to new: [UInt8]) {
    head(number, hash, base)
    let at = w.bytes.count
    w.put(UInt32(0))
    PageDifference.put(from: old, to: new, into: &w)
    w.patch(UInt32(w.bytes.count - at - 4), at: at)
  }

  private mutating func head(_ number: PageNumber, _ hash: UInt64, _ base: LogIndex) {
    w.put(number)
    w.put(hash)
    w.put(base)
  }
}
