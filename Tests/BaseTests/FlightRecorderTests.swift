// What was recorded last is there, oldest first.

import Base
import Testing

@Suite("flight recorder")
struct FlightRecorderTests {
  @Test("the last steps are kept in their order, and no more", arguments: [0, 1, 3, 4, 5, 11])
  func keeping(count: Int) {
    var recorder = FlightRecorder<Int>(keeping: 4)
    for step in 0..<count { recorder.record(step) }
    #expect(recorder.steps == Array((0..<count).suffix(4)))
  }
}
