// Writes a whole keyring under a temporary name and then lets it take the real one, in one step.
//
// The order is what matters: content, sync, rename, sync of the directory. A crash leaves the old file or the new one.

import Base
import Disk
import Formats
import OpenSSL

struct KeyringWriter {
  private let disk: any Disk
  private let path: String
  private let file: any DiskFile
  private let header: KeyringHeader
  private var buffer: [UInt8] = []
  private var bufferStart = UInt64(KeyringFrame.firstOffset)
  private(set) var recordings: [RecordingID: UInt64] = [:]
  private(set) var others: [KeyringImage.Name: UInt64] = [:]
  private(set) var frames: UInt64 = 0

  private var temporary: String { path + ".new" }
  private var end: UInt64 { bufferStart + UInt64(buffer.count) }

  init(
    disk: any Disk, path: String, account: AccountID, wraps: [KeyringHeader.Wrap]
  ) throws(AtRestError) {
    self.disk = disk
    self.path = path
    header = KeyringHeader(account: account, fileID: SystemRandom.bytes(16), wraps: wraps)
    let temporary = path + ".new"
    file = try onDisk { () throws(DiskError) in
      let file = try disk.open(temporary, .createOrOpen)
      try file.truncate(to: 0)
      return file
    }
  }

  /// Adds an entry; it gets the next number.
  mutating func append(_ frame: KeyringFrame) throws(AtRestError) {
    var frame = frame
    frame.number = frames
    let bytes = frame.encode()
    note(frame.kind, RecordingID(bytes: frame.id).bits, place(bytes.count))
    buffer += bytes
    if buffer.count >= 1 << 20 { try flush() }
  }

  /// Adds an entry of another file as it lies in `sectors` at `range`, with the next number.
  mutating func append(
    _ entry: KeyringSectors.Entry, _ sectors: [UInt8], _ range: Range<Int>
  ) throws(AtRestError) {
    let place = place(entry.byteCount)
    let number = frames
    note(entry.kind, entry.id, place)
    let start = buffer.count
    buffer += sectors[range]
    KeyringFrame.renumber(&buffer, at: start, count: range.count, number)
    if buffer.count >= 1 << 20 { try flush() }
  }

  /// Where the next frame goes, the padding before it written.
  private mutating func place(_ count: Int) -> UInt64 {
    let place = KeyringFrame.place(count, after: end)
    buffer.append(contentsOf: repeatElement(0, count: Int(place - end)))
    return place
  }

  private mutating func note(_ kind: KeyringFrame.Kind, _ id: UInt128, _ place: UInt64) {
    frames += 1
    if kind == .recording {
      recordings[RecordingID(bits: id)] = place
    } else {
      others[KeyringImage.Name(kind: kind, id: id)] = place
    }
  }

  /// Makes the file durable under its name. `renamed` is set once the name may have changed hands.
  mutating func finish(renamed: inout Bool) throws(AtRestError) -> (file: any DiskFile, image: KeyringImage) {
    try flush()
    let image = KeyringImage(
      header: header, slot: KeyringSlot(fileID: header.fileID, sequence: 1, syncedBytes: end), recordings: recordings,
      others: others, frames: frames)
    let front =
      header.encode() + KeyringSlot(fileID: header.fileID, sequence: 0, syncedBytes: end).encode() + image.slot.encode()
    let (disk, file, temporary, path) = (disk, file, temporary, path)
    try onDisk { () throws(DiskError) in
      try file.write(front, at: 0)
      try file.sync()
    }
    renamed = true
    try onDisk { () throws(DiskError) in
      try disk.rename(temporary, to: path)
      try disk.syncDirectory(Self.directory(of: path))
    }
    return (file, image)
  }

  /// Takes the temporary file away after a failure; the next writer would start it anew anyway.
  func abandon() { try? disk.remove(temporary) }

  private mutating func flush() throws(AtRestError) {
    let (file, bytes, start) = (file, buffer, bufferStart)
    try onDisk { () throws(DiskError) in try file.write(bytes, at: start) }
    bufferStart = end
    buffer.removeAll(keepingCapacity: true)
  }

  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}

extension KeyringImage {
  /// The image of a file that was just written whole.
  init(
    header: KeyringHeader, slot: KeyringSlot, recordings: [RecordingID: UInt64], others: [Name: UInt64], frames: UInt64
  ) {
    self.header = header
    self.slot = slot
    self.recordings = recordings
    self.others = others
    size = slot.syncedBytes
    end = KeyringSectors.End(offset: slot.syncedBytes, frames: frames, strange: nil)
  }
}
