// An object that was looked up: what its row says, and the bytes that are wanted of its recording.

package import Base

/// What is wanted of a recording once its row is known: `count` bytes from `offset`.
package struct RecordingWish: Sendable {
  package let recording: RecordingID
  package let offset: Int
  package let count: Int

  package init(_ recording: RecordingID, offset: Int, count: Int) {
    self.recording = recording
    self.offset = offset
    self.count = count
  }
}

package struct FoundObject<Value: Sendable>: Sendable {
  package let value: Value
  /// Nil when no bytes were wanted.
  package var reader: RecordingReader?
  /// From the offset to the end of what was wanted, or of the chunk there.
  package var first: [UInt8] = []
}
