// What replaces a keyring's file: destroying keys, and another key-encryption key. Also its sealed copy.

package import Base
import Disk
import Formats
import OpenSSL
import Threads

extension Keyring {
  /// Destroys the keys of these recordings, for good: durable when this returns. Unknown ones are passed over, so that
  /// an erasure can be repeated. The old file's entries are overwritten as well, as far as the disk writes in place.
  package func destroyRecordingKeys(_ ids: [RecordingID]) throws(AtRestError) {
    let old = try beginExclusive()
    let places = ids.compactMap { old.image.recordings[$0] }
    guard !places.isEmpty else { return endExclusive() }
    try replace(old, wraps: old.image.header.wraps, without: Set(places))
    wipe(places, in: old.file)
  }

  /// Wraps the account key under another key-encryption key, and only under that. Everything else stays sealed as it is.
  package func rewrap(to kek: any KeyEncryption) throws(AtRestError) {
    let wrap = KeyringHeader.Wrap(keyID: kek.id, wrapped: try kek.wrap(accountKey, for: account))
    let old = try beginExclusive()
    try replace(old, wraps: [wrap], without: [])
    let blank = [UInt8](repeating: 0, count: KeyringHeader.byteCount)
    try? onDisk { () throws(DiskError) in
      try old.file.write(blank, at: 0)
      try old.file.sync()
    }
  }

  /// A copy of the file, for the archive: sealed as it lies on the disk, appended keys included.
  package func exportState() throws(AtRestError) -> [UInt8] {
    let now = try beginExclusive()
    defer { endExclusive() }
    var bytes = try now.file.bytes(Int(now.image.end.offset), at: 0)
    guard bytes.count == Int(now.image.end.offset) else {
      throw AtRestError(.damaged, "the keyring ends before its last entry", at: bytes.count)
    }
    for sequence: UInt64 in 0...1 {
      let slot = KeyringSlot(
        fileID: now.image.header.fileID, sequence: sequence, syncedBytes: now.image.end.offset)
      bytes.replaceSubrange(slot.offset..<(slot.offset + KeyringSlot.byteCount), with: slot.encode())
    }
    return bytes
  }

  private func beginExclusive() throws(AtRestError) -> State {
    let result: Result<State, AtRestError> = state.wait(until: { !$0.exclusive }) { s in
      if s.failed { return .failure(AtRestError(.closed, "the keyring failed earlier and must be opened again")) }
      s.exclusive = true
      return .success(s)
    }
    return try result.get()
  }

  private func endExclusive(_ body: (inout State) -> Void = { _ in }) {
    state.with { s in
      body(&s)
      s.exclusive = false
    }
    state.wake()
  }

  private func replace(
    _ old: State, wraps: [KeyringHeader.Wrap], without dropped: Set<UInt64>
  ) throws(AtRestError) {
    var renamed = false
    do throws(AtRestError) {
      var writer = try KeyringWriter(disk: disk, path: path, account: account, wraps: wraps)
      do throws(AtRestError) {
        try copy(old, to: &writer, without: dropped)
        let (file, image) = try writer.finish(renamed: &renamed)
        endExclusive { $0 = State(file: file, image: image, syncedBytes: image.slot.syncedBytes) }
      } catch {
        // After the rename the temporary name is gone, or its content is what the real name will have: leave it.
        if !renamed { writer.abandon() }
        throw error
      }
    } catch {
      endExclusive { if renamed { $0.failed = true } }
      throw error
    }
  }

  private func copy(
    _ old: State, to writer: inout KeyringWriter, without dropped: Set<UInt64>
  ) throws(AtRestError) {
    var end = KeyringSectors.End.start
    var offset = end.offset
    let limit = old.image.end.offset
    while offset < limit {
      let sectors = try old.file.bytes(Int(min(1 << 20, limit - offset)), at: offset)
      let before = end
      end = try KeyringSectors.walk(sectors, from: before, at: offset) { (entry) throws(AtRestError) in
        let start = Int(entry.place - offset)
        if !dropped.contains(entry.place) { try writer.append(entry, sectors, start..<(start + entry.byteCount)) }
      }
      if sectors.isEmpty || end.strange != nil { break }
      offset += UInt64(sectors.count)
    }
    guard end.offset == limit, end.frames == old.image.end.frames else {
      throw AtRestError(.damaged, "the keyring is damaged", at: Int(end.strange ?? end.offset))
    }
  }

  // The old file has no name any more. Failing here changes nothing that was promised.
  private func wipe(_ places: [UInt64], in file: any DiskFile) {
    try? onDisk { () throws(DiskError) in
      for place in places {
        let length = Int(try file.read(1, at: place).first ?? 0) | Int(try file.read(1, at: place + 1).first ?? 0) << 8
        try file.write([UInt8](repeating: 0, count: min(length, KeyringFrame.sectorBytes)), at: place)
      }
      try file.sync()
    }
  }
}
