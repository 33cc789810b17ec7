// Durations, sizes, times of day and addresses.

import Node
import Testing

@Suite("quantities")
struct QuantityTests {
  @Test(
    "durations", arguments: [("500ms", 500), ("1s", 1_000), ("2min", 120_000), ("1h", 3_600_000), ("1 d", 86_400_000)])
  func durations(_ text: String, _ milliseconds: Int) {
    #expect(Quantity.duration(text) == .milliseconds(milliseconds))
  }

  @Test("sizes", arguments: [("64MiB", 64 << 20), ("1B", 1), ("2GB", 2_000_000_000), ("3 KiB", 3072)])
  func sizes(_ text: String, _ bytes: Int) { #expect(Quantity.size(text) == bytes) }

  @Test(
    "what has no unit, a sign, a fraction or does not fit is no quantity",
    arguments: ["", "5", "-5s", "1.5s", "5 weeks", "s", "9223372036854775807d", "99999999999999999999s", "5s ", "٣s"])
  func refused(_ text: String) {
    #expect(Quantity.duration(text) == nil)
    #expect(Quantity.size(text) == nil)
  }

  @Test("times of day run from midnight to midnight")
  func timesOfDay() {
    #expect(Quantity.timeOfDay("00:00") == 0)
    #expect(Quantity.timeOfDay("23:59") == 1439)
    #expect(Quantity.timeOfDay("24:00") == 1440)
    for text in ["24:01", "7:00", "07:60", "0700", "07:0a", "+7:00", ""] { #expect(Quantity.timeOfDay(text) == nil) }
  }

  @Test("addresses come back as they were written", arguments: ["127.0.0.1:7400", "[::1]:0", "node.example:65535"])
  func addresses(_ text: String) { #expect(ListenAddress(text)?.description == text) }

  @Test("what is no address", arguments: ["", ":1", "a:", "a:65536", "a:-1", "::1:5", "a b:1", "a/b:1", "a:+1"])
  func notAddresses(_ text: String) { #expect(ListenAddress(text) == nil) }
}
