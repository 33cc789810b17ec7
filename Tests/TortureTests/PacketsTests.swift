// Hostile packets in a short run; a million of them run as `komora-torture packets`.

import Testing
import Torture

@Suite(.serialized) struct PacketsTests {
  @Test("fifty thousand hostile packets: none is accepted, each is counted by its reason")
  func packets() async {
    var packets = Packets()
    packets.inputs = 50_000
    packets.seed = 7
    // Other tests of this process want memory too; the command has its process to itself, and its strict bound.
    packets.growthBytesMax = 1 << 30
    let outcome = await packets.run()
    #expect(outcome.failed == 0, "\(outcome.lines.joined(separator: "\n"))")
    #expect(outcome.passed >= 9)
  }
}
