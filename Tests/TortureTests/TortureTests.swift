// The torture's parts in bounded form; whole they run as `komora-torture`.

import Testing
import Torture

@Suite(.serialized) struct TortureTests {
  @Test("a word that is written everywhere is found nowhere, and everywhere with sealing off")
  func canary() async throws {
    let outcome = await Canary().run()
    #expect(outcome.failed == 0, "\(outcome.lines.joined(separator: "\n"))")
    #expect(outcome.passed > 20)
  }

  @Test("flipped bytes of every kind of file are named and never served")
  func flips() async throws {
    var flips = Flips()
    flips.stride = 211
    flips.offset = 7
    let outcome = await flips.run()
    #expect(outcome.failed == 0, "\(outcome.lines.joined(separator: "\n"))")
    #expect(outcome.passed > 200)
  }
}
