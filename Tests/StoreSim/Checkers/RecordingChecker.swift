// Never a row without its audio: every recording that a row names reads back byte for byte.

import Base
import ShardStore

enum RecordingChecker {
  static func check(_ engine: Engine, _ account: AccountID, _ recording: SimulatedRecording) throws {
    let reader = try engine.recordingNow(account, recording.id)
    var bytes: [UInt8] = []
    while bytes.count < reader.size {
      let part = try reader.readNow(offset: bytes.count, count: 1 << 20)
      if part.isEmpty { break }
      bytes += part
    }
    guard bytes == recording.bytes else {
      throw Violation(
        checker: "recordings",
        message: "recording \(recording.id) came back with \(bytes.count) bytes that are not its \(recording.count)")
    }
  }
}
