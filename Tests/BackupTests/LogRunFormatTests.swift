import Backup
import Base
import Disk
import Formats
import ShardStore
import Simulator
import Testing

@Suite struct LogRunFormatTests {
  /// The bytes of archived runs of a small account, and whose they are.
  private func runs() async throws -> [[UInt8]] {
    let disk = ForgetfulDisk(seed: 9)
    let world = try await MomentWorld(seed: 9, disk: disk)
    defer { world.store.engine.close() }
    try await world.snapshot()
    for _ in 0..<2 {
      try await world.writeCalls(2)
      try await world.upload()
      try await world.archive.archiveLog(of: world.store.engine)
    }
    let layout = world.archive.layout
    return try disk.list(layout.log).map { try disk.readAll("\(layout.log)/\($0)", limit: 1 << 24) }
  }

  private func parse(_ bytes: [UInt8]) throws(BackupError) -> LogRun.Content {
    try LogRun.parse(bytes, path: "run", account: MomentWorld.account).content
  }

  @Test("what is encoded is what is read, and a file opens by itself: the key of its first record lies in front")
  func roundTrip() async throws {
    for bytes in try await runs() {
      let (header, content) = try LogRun.parse(bytes, path: "run", account: MomentWorld.account)
      #expect(try LogRunHeader(decoding: header.encode()[...]) == header)
      #expect(LogRun.encode(content.records, key: content.key, previousTime: header.previousTime) == bytes)
      #expect(content.key?.header.carriesKey == true && content.records.count == header.records)
      #expect(LogRunHeader.first(ofFile: LogRunHeader.fileName(first: header.first)) == header.first)
    }
    for name in ["1.klrg", "000000000000000G.klrg", "0000000000000001.klrg.new", "000000000000000A.klrg"] {
      #expect(LogRunHeader.first(ofFile: name) == nil)
    }
  }

  @Test("every flipped bit is found, and so is every length that the file may end at")
  func damage() async throws {
    let bytes = try #require(try await runs().min { $0.count < $1.count })
    for bit in 0..<(bytes.count * 8) where bit < 4000 || bit % 37 == 0 {
      #expect(throws: BackupError.self, "bit \(bit)") { try parse(bytes.flipped(bit)) }
    }
    for count in 0..<bytes.count { #expect(throws: BackupError.self) { try parse(Array(bytes[..<count])) } }
    #expect(throws: BackupError.self) { try parse(bytes + [0]) }
    #expect(throws: BackupError.self) { try LogRun.parse(bytes, path: "run", account: AccountID(bits: 1)) }
  }

  @Test("any bytes are read or refused, with mended checksums too, and what is read is a chain")
  func fuzz() async throws {
    let all = try await runs()
    var random = SeededGenerator(seed: 77)
    var read = 0
    for _ in 0..<4000 {
      var bytes = all[random.below(all.count)]
      if random.oneIn(2) {
        bytes = bytes.mutated(using: &random)
      } else {
        var head = Array(bytes[..<LogRunHeader.byteCount]).mutated(using: &random)
        head = Array((head + [UInt8](repeating: 0, count: 128))[..<LogRunHeader.byteCount])
        head.mendChecksum()
        bytes.replaceSubrange(..<LogRunHeader.byteCount, with: head)
      }
      guard let content = try? parse(bytes) else { continue }
      read += 1
      for (a, b) in zip(content.records, content.records.dropFirst()) {
        #expect(b.header.index == a.header.index + 1 && b.header.previous == a.header.checksum)
      }
    }
    #expect(read < 4000)
  }
}
