// Bech32 against the vectors of BIP 173.

import AtRest
import Base
import Testing

struct Bech32Tests {
  @Test("reads and writes the valid strings of BIP 173 that hold whole bytes")
  func valid() throws {
    let empty = try #require(Bech32.decode("A12UEL5L"))
    #expect(empty.prefix == "a" && empty.bytes.isEmpty)
    let all = try #require(Bech32.decode("abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"))
    #expect(all.prefix == "abcdef" && all.bytes.hex == "00443214c74254b635cf84653a56d7c675be77df")
    let split = "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w"
    let words = try #require(Bech32.decode(split))
    #expect(Bech32.encode(prefix: words.prefix, words.bytes) == split)
    #expect(Bech32.encode(prefix: "a", []) == "a12uel5l")
  }

  @Test(
    "refuses what BIP 173 lists as invalid",
    arguments: [
      "\u{20}1nwldj5", "\u{7f}1axkwrx", "pzry9x0s0muk", "1pzry9x0s0muk", "x1b4n0q5v", "li1dgmt3", "de1lg7wt\u{ff}",
      "A1G7SGD8", "10a06t8", "1qzzfhee", "a12uEL5L", "",
    ])
  func invalid(text: String) { #expect(Bech32.decode(text) == nil) }

  @Test("what was written is read, and one changed character is noticed")
  func roundTrip() {
    var random = SeededGenerator(seed: 1)
    for count in 0..<64 {
      let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let text = Bech32.encode(prefix: "age", bytes)
      #expect(Bech32.decode(text)?.bytes == bytes && Bech32.decode(text.uppercased())?.bytes == bytes)
      var changed = Array(text.utf8)
      let at = 4 + random.below(changed.count - 4)
      changed[at] = changed[at] == UInt8(ascii: "q") ? UInt8(ascii: "p") : UInt8(ascii: "q")
      #expect(Bech32.decode(String(decoding: changed, as: UTF8.self)) == nil)
    }
  }
}
