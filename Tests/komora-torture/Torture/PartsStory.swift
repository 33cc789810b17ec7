// An upload in parts: begun, filled out of order with a part replaced, completed by a copy into one recording.

import Base
import SQLite
import ShardStore
import Threads

enum PartsStory {
  /// The object, and where its parts end.
  static let number = 14
  static let ends = [300_000, 570_000]
  static let upload = MultipartUpload(
    id: Array(1...16), key: Content.recordingKey(number), contentType: Content.recordingType(1), metadata: "{}",
    createdAt: 1)

  static func content(part: Int) -> [UInt8] {
    let whole = Content.recording(account: 1, number: number, bytes: ends[1])
    return Array(whole[(part == 1 ? 0 : ends[0])..<ends[part - 1]])
  }

  static func run(_ driver: Driver) throws {
    try driver.commit(1) { try MultipartCatalog.begin($0, upload) }
    try put(driver, part: 2, content(part: 2))
    try put(driver, part: 1, Array(repeating: 7, count: 90_000))
    try put(driver, part: 1, content(part: 1))
    let target = try driver.engine.uploadNow(Content.account(1))
    let parts = try driver.engine.readNow(Content.account(1)) {
      try MultipartCatalog.parts($0, of: upload.id, limit: 10)
    }.0
    for part in parts { try target.appendNow(try bytes(of: part.id, driver)) }
    let stored = try target.finishNow()
    try driver.commit(1) {
      try RecordingCatalog.put(
        $0, key: upload.key, stored, contentType: upload.contentType, metadata: upload.metadata, at: 2)
      try MultipartCatalog.end($0, upload.id, etag: "etag-2")
    }
    driver.tell("recording 1 \(number) \(stored.bytes)")
  }

  private static func put(_ driver: Driver, part: Int, _ bytes: [UInt8]) throws {
    let target = try driver.engine.uploadNow(Content.account(1))
    try target.appendNow(bytes)
    let stored = try target.finishNow()
    driver.tell("parting \(part)")
    try driver.commit(1) {
      try MultipartCatalog.put($0, part: part, of: upload.id, stored, checksum: "", at: 1)
    }
    driver.tell("part \(part) \(stored.bytes)")
  }

  static func bytes(of recording: RecordingID, _ driver: Driver) throws -> [UInt8] {
    let reader = try driver.engine.recordingNow(Content.account(1), recording)
    var bytes: [UInt8] = []
    while bytes.count < reader.size {
      let more = try reader.readNow(offset: bytes.count, count: 1 << 20)
      if more.isEmpty { break }
      bytes += more
    }
    return bytes
  }

  /// What is wrong with the upload after a recovery. `told` has the bytes of each acknowledged part; one in `asked` may
  /// have been replaced without an answer.
  static func problems(told: [Int: Int], asked: Set<Int>, isThere: Bool, _ driver: Driver) throws -> [String] {
    let (row, parts) = try driver.engine.readNow(Content.account(1)) { connection in
      let row = try MultipartCatalog.upload(connection, upload.id)
      return (row, row == nil ? [] : try MultipartCatalog.parts(connection, of: upload.id, limit: 10))
    }.0
    if isThere { return row?.etag != nil && parts.isEmpty ? [] : ["a completed upload has parts, or is open"] }
    var problems: [String] = []
    if row?.etag != nil { problems.append("an upload is completed without its object") }
    for (number, bytes) in told where !asked.contains(number) {
      if parts.first(where: { $0.number == number })?.bytes != bytes {
        problems.append("acknowledged part \(number) is not there")
      }
    }
    for part in parts {
      let found = try Self.bytes(of: part.id, driver)
      if found != content(part: part.number), found != Array(repeating: 7, count: 90_000) {
        problems.append("part \(part.number) is not what was stored")
      }
    }
    return problems
  }
}

extension Driver {
  /// A write that is answered before this returns.
  func commit(_ account: Int, _ body: @escaping @Sendable (Connection) throws -> Void) throws {
    let outcome = Lock<Result<Void, any Error>?>(nil)
    engine.submit(Content.account(account), body) { result in outcome.with { $0 = result.map { _ in } } }
    pump()
    try outcome.with { $0 }?.get()
  }
}
