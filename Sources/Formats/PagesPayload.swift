// What a record of pages holds inside its seal and its compression: the pages that one transaction changed.
//
// A page is a whole image or the difference to the version that it replaces. A difference names the index of its base
// and the hash of its result; another base or result is damage. The 32 reserved bytes of a page are its seal's and always
// zero here.

public import Base

public struct PageChange: Sendable, Equatable {
  public enum Body: Sendable, Equatable {
    /// `Limits.pageBytes` bytes.
    case whole([UInt8])
    /// To the version that was made at index `base`.
    case difference(base: LogIndex, PageDifference)
  }

  public var number: PageNumber
  /// XXH64 of the resulting page.
  public var hash: UInt64
  public var body: Body

  public init(number: PageNumber, hash: UInt64, body: Body) {
    self.number = number
    self.hash = hash
    self.body = body
  }
}

public struct PagesPayload: Sendable, Equatable {
  /// Pages of the database after the whole transaction.
  public var databasePages: UInt32
  /// Sorted by number, each at most once.
  public var changes: [PageChange]

  static let entryBytes = 25
  /// The largest payload before compression; runs may be a little longer than a page.
  public static let byteCountMax = 8 + Limits.recordPagesMax * (entryBytes + 2 * Limits.pageBytes)

  public init(databasePages: UInt32, changes: [PageChange]) {
    self.databasePages = databasePages
    self.changes = changes
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: 8 + changes.count * (Self.entryBytes + 1024))
    w.put(databasePages)
    w.put(UInt32(changes.count))
    for change in changes {
      w.put(change.number)
      w.put(change.hash)
      switch change.body {
      case .whole(let image):
        w.put(UInt8(0))
        w.put(raw: image)
      case .difference(let base, let difference):
        w.put(UInt8(1))
        w.put(base)
        w.put(string: difference.runs)
      }
    }
    return w.bytes
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
    switch try r.take(UInt8.self) {
    case 0: return PageChange(number: number, hash: hash, body: .whole(Array(try r.take(raw: Limits.pageBytes))))
    case 1:
      let base: LogIndex = try r.take()
      let difference = try PageDifference(runs: try r.takeString(limit: 2 * Limits.pageBytes))
      return PageChange(number: number, hash: hash, body: .difference(base: base, difference))
    default: throw FormatError(.damaged, "unknown coding of a page", at: r.offset - 1)
    }
  }
}
