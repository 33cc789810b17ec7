// A recording's bytes, repeated from a seed instead of kept.

import Base

struct SimulatedRecording: Sendable, Hashable {
  var id: RecordingID
  var seed: UInt64
  var count: Int

  var bytes: [UInt8] {
    var generator = SeededGenerator(seed: seed)
    return [UInt8](unsafeUninitializedCapacity: count + 8) { out, used in
      for at in stride(from: 0, to: count, by: 8) {
        withUnsafeBytes(of: generator.next()) { UnsafeMutableRawBufferPointer(out)[at..<(at + 8)].copyBytes(from: $0) }
      }
      used = count
    }
  }
}
