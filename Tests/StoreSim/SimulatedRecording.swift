// A recording's bytes, repeated from a seed instead of kept.

import Base

struct SimulatedRecording: Sendable, Equatable {
  var id: RecordingID
  var seed: UInt64
  var count: Int

  /// As rows tell them apart: those do not know the seed.
  static func == (a: Self, b: Self) -> Bool { a.id == b.id && a.count == b.count }

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
