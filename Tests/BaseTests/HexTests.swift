// Hexadecimal text and opaque ids, there and back.

import Base
import Testing

struct HexTests {
  @Test("bytes come back from their digits, in either case")
  func roundTrip() {
    let bytes = [UInt8](0...255)
    #expect(bytes.hex.hasPrefix("000102") && bytes.hex.hasSuffix("fdfeff"))
    #expect([UInt8](hex: bytes.hex) == bytes)
    #expect([UInt8](hex: bytes.hex.uppercased()) == bytes)
    #expect([UInt8](hex: "") == [])
  }

  @Test("odd lengths and anything that is no digit are refused", arguments: ["0", "abc", "0g", " 00", "0x00", "é0"])
  func refusals(text: String) {
    #expect([UInt8](hex: text) == nil)
  }

  @Test("an id's text, bytes and number name the same id and sort alike")
  func ids() throws {
    var generator = SeededGenerator(seed: 1)
    var ids: [AccountID] = []
    for _ in 0..<200 { ids.append(AccountID(from: &generator)) }
    for id in ids {
      #expect(id.description.utf8.count == 32)
      #expect(AccountID(id.description) == id)
      #expect(AccountID(bytes: id.bytes) == id)
    }
    let sorted = ids.sorted()
    #expect(sorted.map(\.description) == ids.map(\.description).sorted())
    #expect(sorted == ids.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) })
    #expect(AccountID(bits: 1).description == "00000000000000000000000000000001")
  }

  @Test(
    "text that is not 32 digits is no id",
    arguments: [
      "", "0", String(repeating: "0", count: 31),
      String(repeating: "0", count: 33), String(repeating: "g", count: 32), "../../../../../../../../../../etc",
    ])
  func notAnID(text: String) {
    #expect(AccountID(text) == nil)
  }

  @Test("equal seeds give equal numbers, and all of a range appear")
  func seeded() {
    var a = SeededGenerator(seed: 7)
    var b = SeededGenerator(seed: 7)
    var seen: Set<Int> = []
    for _ in 0..<500 {
      let n = a.below(10)
      #expect(n == b.below(10))
      seen.insert(n)
    }
    #expect(seen == Set(0..<10))
    // The first output of the published generator for seed 0.
    var zero = SeededGenerator(seed: 0)
    #expect(zero.next() == 0xE220_A839_7B1D_CDAF)
  }
}
