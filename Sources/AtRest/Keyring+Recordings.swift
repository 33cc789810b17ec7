// The keys of recordings: added one by one, read on demand.

package import Base
import Disk
import Formats
package import OpenSSL
import Threads

extension Keyring {
  /// A new random key for a recording. It is appended but not yet durable: `sync` before anything relies on it.
  /// `.exists` when the recording has one.
  package func addRecordingKey(_ id: RecordingID) throws(AtRestError) -> SecretBytes {
    let key = SecretBytes.random(32)
    try add(key, id, mayExist: false)
    return key
  }

  /// The key that a recording has on another replica. Nothing happens when it has one here.
  package func putRecordingKey(_ key: SecretBytes, _ id: RecordingID) throws(AtRestError) {
    guard key.count == 32 else { throw AtRestError(.wrongKey, "a recording's key has 32 bytes, not \(key.count)") }
    try add(key, id, mayExist: true)
  }

  private func add(_ key: SecretBytes, _ id: RecordingID, mayExist: Bool) throws(AtRestError) {
    let result: Result<Void, AtRestError> = state.wait(until: { !$0.exclusive }) { s in
      do throws(AtRestError) {
        try Self.check(s)
        if mayExist, s.image.recordings[id] != nil { return .success(()) }
        try self.append(key, id, &s)
        return .success(())
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }

  private func append(_ key: SecretBytes, _ id: RecordingID, _ s: inout State) throws(AtRestError) {
    guard s.image.recordings[id] == nil else { throw AtRestError(.exists, "recording \(id) has a key already") }
    guard s.image.end.frames < UInt64(Limits.keyringEntriesMax) else {
      throw AtRestError(.tooLarge, "a keyring holds at most \(Limits.keyringEntriesMax) keys")
    }
    let frame = sealer.seal(key, kind: .recording, id: id.bits, number: s.image.end.frames)
    let place = KeyringFrame.place(frame.byteCount, after: s.image.end.offset)
    let file = s.file
    // A write that failed half-way is written over by the next one: the end moves only here.
    try onDisk { () throws(DiskError) in try file.write(frame.encode(), at: place) }
    s.image.recordings[id] = place
    s.image.end.offset = place + UInt64(frame.byteCount)
    s.image.end.frames += 1
  }

  /// Nil when the recording has no key: it never had one, or it was destroyed.
  package func recordingKey(_ id: RecordingID) throws(AtRestError) -> SecretBytes? {
    while true {
      let found = try state.with { (s) throws(AtRestError) -> (any DiskFile, [UInt8], UInt64)? in
        try Self.check(s)
        return s.image.recordings[id].map { (s.file, s.image.header.fileID, $0) }
      }
      guard let (file, fileID, place) = found else { return nil }
      do throws(AtRestError) {
        let frame = try KeyringUnlock.frame(try file.bytes(KeyringFrame.sectorBytes, at: place), at: place)
        guard frame.kind == .recording, frame.id == id.bytes, let key = sealer.open(frame) else {
          throw AtRestError(.damaged, "an entry of the keyring does not open", at: Int(place))
        }
        return key
      } catch {
        // The file was replaced, and its destroyed entries wiped, between looking and reading.
        if state.with({ $0.image.header.fileID == fileID }) { throw error }
      }
    }
  }

  package func hasRecordingKey(_ id: RecordingID) -> Bool { state.with { $0.image.recordings[id] != nil } }

  /// Every recording that has a key, in no order.
  package func recordingIDs() -> [RecordingID] { state.with { Array($0.image.recordings.keys) } }
}
