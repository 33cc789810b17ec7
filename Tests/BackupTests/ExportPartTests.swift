import Backup
import Base
import Disk
import Formats
import OpenSSL
import Simulator
import Testing

/// The small parts of exports against their definitions.
@Suite struct ExportPartTests {
  /// RFC 6962 §2.1, word for word.
  private func root(_ leaves: ArraySlice<[UInt8]>) -> [UInt8] {
    if leaves.isEmpty { return SHA256.hash([]) }
    if leaves.count == 1 { return SHA256.hash([0] + leaves.first!) }
    var k = 1
    while k * 2 < leaves.count { k *= 2 }
    let middle = leaves.startIndex + k
    return SHA256.hash([1] + root(leaves[..<middle]) + root(leaves[middle...]))
  }

  @Test("the root is that of RFC 6962 for every number of leaves")
  func merkle() {
    var leaves: [[UInt8]] = []
    var tree = MerkleTree()
    for count in 0..<70 {
      #expect(tree.root == root(leaves[...]), "\(count) leaves")
      let leaf = Array("leaf \(count)".utf8)
      leaves.append(leaf)
      tree.append(leaf)
    }
    #expect(tree.leaves == 70)
  }

  @Test("flat JSON is read in its one form only")
  func flatJSON() throws {
    let json = FlatJSON([("a", .integer(-5)), ("b", .text("x y")), ("c", .null)])
    #expect(json.object == "{\n  \"a\": -5,\n  \"b\": \"x y\",\n  \"c\": null\n}\n")
    #expect(FlatJSON(object: json.object) == json)
    for other in [
      "{\n  \"a\": +5\n}\n", "{\n  \"a\": 05\n}\n", "{\n  \"a\": 5,\n}\n", "{\n  \"a\": 5\n  \"b\": 5\n}\n", "{}\n", "",
      "{\n  \"a\": \"\\n\"\n}\n", "{\n  \"a\": 5,\n  \"a\": 5\n}\n", "{\n   \"a\": 5\n}\n", "{\n  \"a\":5\n}\n",
    ] { #expect(FlatJSON(object: other) == nil, "\(other)") }
    var random = SeededGenerator(seed: 3)
    for _ in 0..<2000 {
      let bytes = Array(json.object.utf8).mutated(using: &random)
      let text = String(decoding: bytes, as: UTF8.self)
      if let read = FlatJSON(object: text) { #expect(read.object == text) }
    }
  }

  @Test("a list of recordings finds what it holds and nothing else, and each flipped byte of it is noticed")
  func held() throws {
    let disk = ForgetfulDisk(seed: 1)
    for count in [0, 1, 255, 256, 257, 1000] {
      var random = SeededGenerator(seed: UInt64(count))
      let ids = (0..<count).map { _ in RecordingID(from: &random) }.sorted()
      let path = "/held-\(count).ids"
      let header = ExportHeldHeader(account: AccountID(bits: 1), export: ExportID(bits: 2), count: UInt64(count))
      try HeldRecordings.write(disk, path, header) { put in for id in ids { try put(id) } }
      let list = try HeldRecordings(disk, path)
      #expect(list.header == header)
      for id in ids + ids.reversed() { #expect(try list.contains(id)) }
      for id in ids.prefix(50) {
        for other in [RecordingID(bits: id.bits &+ 1), RecordingID(bits: id.bits &- 1)] {
          #expect(try list.contains(other) == ids.contains(other))
        }
      }
      #expect(try !list.contains(RecordingID(bits: 0)) && !list.contains(RecordingID(bits: .max)))
      let size = Int(try disk.info(path)!.bytes)
      for offset in stride(from: 0, to: size, by: size > 6000 ? 37 : 1) {
        try disk.flip(path, offset, bit: offset % 8)
        #expect(throws: BackupError.self) { try HeldRecordings(disk, path) }
        try disk.flip(path, offset, bit: offset % 8)
      }
    }
  }
}
