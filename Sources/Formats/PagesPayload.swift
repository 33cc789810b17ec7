// What a record of pages holds inside its seal and its compression: the pages that one transaction changed.
//
// A page is a whole image, or the XOR with the version that it replaces, which zstd shrinks to little more than the bytes
// that changed. A difference names the index of its base and the hash of its result; another base or result is damage.
// The 32 reserved bytes of a page are its seal's and always zero here.

public import Base

public struct PageChange: Sendable, Equatable {
  public var number: PageNumber
  /// Index of the version that the body is a difference to; nil when the body is the page.
  public var base: LogIndex?
  /// XXH64 of the resulting page.
  public var hash: UInt64
  /// `Limits.pageBytes` bytes.
  public var body: [UInt8]

  public init(number: PageNumber, base: LogIndex?, hash: UInt64, body: [UInt8]) {
    self.number = number
    self.base = base
    self.hash = hash
    self.body = body
  }
}

public struct PagesPayload: Sendable, Equatable {
  /// Pages of the database after the whole transaction.
  public var databasePages: UInt32
  /// Sorted by number, each at most once.
  public var changes: [PageChange]

  static let entryBytes = 21
  /// The largest payload before compression.
  public static let byteCountMax = 8 + Limits.recordPagesMax * (entryBytes + Limits.pageBytes)

  public init(databasePages: UInt32, changes: [PageChange]) {
    self.databasePages = databasePages
    self.changes = changes
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: 8 + changes.count * (Self.entryBytes + Limits.pageBytes))
    w.put(databasePages)
    w.put(UInt32(changes.count))
    for change in changes {
      w.put(change.number)
      w.put(UInt8(change.base == nil ? 0 : 1))
      w.put(change.base ?? 0)
      w.put(change.hash)
    }
    for change in changes { w.put(raw: change.body) }
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
        let at = r.offset
        let number: PageNumber = try r.take()
        let differs: UInt8 = try r.take()
        let base: LogIndex = try r.take()
        let hash: UInt64 = try r.take()
        guard number > last, Int(number) <= Limits.databasePagesMax else {
          throw FormatError(.damaged, "page \(number) after page \(last)", at: at)
        }
        guard differs <= 1, differs == 1 || base == 0 else { throw FormatError(.damaged, "unknown coding", at: at + 4) }
        last = number
        changes.append(PageChange(number: number, base: differs == 1 ? base : nil, hash: hash, body: []))
      }
      for i in changes.indices { changes[i].body = Array(try r.take(raw: Limits.pageBytes)) }
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
}
