// Verification of the main database file, its page keys, the volumes, and of rows against recordings.

import AtRest
import Base
import Disk
import Formats
import OpenSSL
import SQLite

extension StoreVerifier {
  mutating func verifyPages(
    _ id: AccountID, _ directory: String, _ keyring: ArchivedKeyring?, _ slot: RedoSlot?, redone: Set<PageNumber>
  ) {
    let path = "\(directory)/\(MainFile.name)"
    let keysPath = "\(directory)/\(MainFile.keysName)"
    var keysAreWhole = false
    if let bytes = read(keysPath, limit: 8 << 20) {
      do throws(FormatError) {
        let keys = try PageKeysFile(bytes)
        keysAreWhole = keys.account == id
        if !keysAreWhole { damage(keysPath, at: 0, bytes: UInt64(bytes.count), "belongs to another account") }
      } catch { damage(keysPath, at: 0, bytes: UInt64(bytes.count), error.message) }
    }
    let pageBytes = UInt64(Limits.pageBytes)
    guard let info = try? disk.info(path), let file = try? disk.open(path, .read) else {
      return damage(path, at: 0, bytes: 0, "cannot be read")
    }
    counts.files += 1
    counts.bytes += info.bytes
    do {
      let header = try PageFileHeader(try file.read(Limits.pageBytes, at: 0))
      guard header.account == id else { return damage(path, at: 0, bytes: pageBytes, "belongs to another account") }
    } catch { return damage(path, at: 0, bytes: pageBytes, "\(error)") }
    if let slot, info.bytes < PageFileHeader.offset(of: slot.databasePages + 1) {
      damage(path, at: info.bytes, bytes: 0, "the file ends before page \(slot.databasePages)")
    }
    guard let keyring, keysAreWhole else { return }
    verifyTags(id, directory, keyring, redone, end: info.bytes)
  }

  private mutating func verifyTags(
    _ id: AccountID, _ directory: String, _ keyring: ArchivedKeyring, _ redone: Set<PageNumber>, end: UInt64
  ) {
    let path = "\(directory)/\(MainFile.name)"
    let main: MainFile
    do throws(StoreError) {
      main = try MainFile.open(
        disk: disk, directory: directory, account: id, wrap: keyring.keys.pageWrap,
        plain: configuration.plantedBugs.contains(.sealingOff))
    } catch {
      return damage("\(directory)/\(MainFile.keysName)", at: 0, bytes: 0, error.message)
    }
    var number: PageNumber = 1
    while PageFileHeader.offset(of: number) < end {
      defer { number += 1 }
      if case .image = main.read(number) {
        counts.pages += 1
        continue
      }
      let (at, length) = (PageFileHeader.offset(of: number), UInt64(Limits.pageBytes))
      if redone.contains(number) {
        mendable(path, at: at, bytes: length, "page \(number) was being written; redo writes it again")
      } else {
        damage(path, at: at, bytes: length, "page \(number) does not open with its key")
      }
    }
  }

  // MARK: volumes

  struct VolumeOutcome {
    /// Chunk numbers that are whole, by recording.
    var chunks: [RecordingID: Set<UInt32>] = [:]
    /// Units that are not whole: damage when a row needs what is missing, or when whole entries follow.
    var broken:
      [(path: String, offset: UInt64, bytes: UInt64, message: String, isTail: Bool, recording: RecordingID?)] = []
  }

  mutating func verifyVolumes(_ id: AccountID, _ directory: String, _ keyring: ArchivedKeyring?) -> VolumeOutcome {
    let volumes = "\(directory)/\(Shard.volumesName)"
    var outcome = VolumeOutcome()
    for name in ((try? disk.list(volumes)) ?? []) where name.hasSuffix(".kvol") {
      let path = "\(volumes)/\(name)"
      guard let bytes = read(path, limit: 1 << 32) else { continue }
      let head = Array(bytes.prefix(VolumeHeader.byteCount))
      do throws(FormatError) {
        let header = try VolumeHeader(head)
        if header.account != id || VolumeHeader.fileName(header.number) != name {
          damage(path, at: 0, bytes: UInt64(head.count), "the volume belongs elsewhere")
        }
      } catch {
        if bytes.count <= VolumeHeader.byteCount, head.count < VolumeHeader.byteCount || head.allSatisfy({ $0 == 0 }) {
          mendable(path, at: 0, bytes: UInt64(head.count), "a volume that was never begun")
          continue
        }
        damage(path, at: 0, bytes: UInt64(VolumeHeader.byteCount), error.message)
      }
      verifyEntries(bytes, path, id, keyring, &outcome)
    }
    return outcome
  }

  private mutating func verifyEntries(
    _ bytes: [UInt8], _ path: String, _ id: AccountID, _ keyring: ArchivedKeyring?, _ outcome: inout VolumeOutcome
  ) {
    let coder = RecordingChunkCoder(account: id)
    var at = VolumeHeader.byteCount
    while at < bytes.count {
      guard let header = try? ChunkHeader(front: bytes[at...]),
        at + header.frameBytes + VolumeEntry.checksumBytes <= bytes.count
      else {
        // Where the next whole header is, the damaged unit ends.
        let next = Self.nextEntry(in: bytes, after: at)
        outcome.broken.append(
          (path, UInt64(at), UInt64((next ?? bytes.count) - at), "no whole chunk begins here", next == nil, nil))
        guard let next else { return }
        at = next
        continue
      }
      let length = header.frameBytes + VolumeEntry.checksumBytes
      let isTail = at + length == bytes.count
      func broken(_ message: String) {
        outcome.broken.append((path, UInt64(at), UInt64(length), message, isTail, header.recording))
      }
      do throws(FormatError) {
        let frame = try VolumeEntry.decode(Array(bytes[at..<(at + length)]))
        counts.chunks += 1
        outcome.chunks[header.recording, default: []].insert(header.number)
        if let keyring, let key = (try? keyring.recordingKey(header.recording)) ?? nil {
          do throws(AtRestError) {
            _ = try coder.open(
              frame, number: Int(header.number), isLast: header.isLast, key: key, recording: header.recording)
          } catch { broken(error.message) }
        }
      } catch { broken(error.message) }
      at += length
    }
  }

  private static func nextEntry(in bytes: [UInt8], after start: Int) -> Int? {
    var at = start + 1
    while at + ChunkHeader.byteCount <= bytes.count {
      if bytes[at] == UInt8(ascii: "K"), (try? ChunkHeader(front: bytes[at...])) != nil { return at }
      at += 1
    }
    return nil
  }

  // MARK: rows and recordings

  mutating func compareRecordings(
    _ id: AccountID, _ directory: String, _ keyring: ArchivedKeyring?, _ volumes: VolumeOutcome
  ) {
    var needed: [RecordingID: Int]?
    if let keyring, kek != nil {
      do { needed = try rowsOfRecordings(id, directory, keyring) } catch {
        // Without a finding that names bytes, this one has to do.
        if !findings.contains(where: { $0.path.hasPrefix(directory) && $0.severity == .damage }) {
          damage("\(directory)/\(MainFile.name)", at: 0, bytes: 0, "the database cannot be rebuilt: \(error)")
        }
      }
    }
    for unit in volumes.broken {
      let isNeeded = unit.recording.map { needed?[$0] != nil } ?? missesChunks(needed, volumes)
      if isNeeded || !unit.isTail {
        damage(unit.path, at: unit.offset, bytes: unit.bytes, unit.message)
      } else {
        mendable(unit.path, at: unit.offset, bytes: unit.bytes, "\(unit.message); no row names it")
      }
    }
    guard let needed, let keyring else { return }
    for (recording, chunks) in needed {
      counts.recordings += 1
      // A recording without a key was erased on purpose.
      guard (try? keyring.recordingKey(recording)) ?? nil != nil else { continue }
      if (volumes.chunks[recording]?.count ?? 0) < chunks, volumes.broken.isEmpty {
        damage("\(directory)/\(Shard.volumesName)", at: 0, bytes: 0, "recording \(recording) is not whole")
      }
    }
  }

  private func missesChunks(_ needed: [RecordingID: Int]?, _ volumes: VolumeOutcome) -> Bool {
    guard let needed else { return true }
    return needed.contains { (volumes.chunks[$0.key]?.count ?? 0) < $0.value }
  }

  /// Rebuilds the database in memory, checks its integrity, and gives how many chunks each row's recording has.
  private func rowsOfRecordings(_ id: AccountID, _ directory: String, _ keyring: ArchivedKeyring) throws
    -> [RecordingID: Int]
  {
    let plain = configuration.plantedBugs.contains(.sealingOff)
    let slot = try RedoFile.open(disk: disk, directory: directory, account: id).slot
    let segments = try SegmentStore.open(
      disk: disk, directory: "\(directory)/\(Shard.segmentsName)", account: id, base: slot.segmentsEnd,
      configuration: configuration)
    let main = try MainFile.open(
      disk: disk, directory: directory, account: id, wrap: keyring.keys.pageWrap, plain: plain)
    let quota = TemporaryQuota(disk: disk, configuration: configuration)
    let pages = PageStore(
      main: main, base: slot.mark, pages: slot.databasePages, temporary: quota, configuration: configuration)
    _ = try Shard.replay(
      segments, from: slot, into: pages, opener: RecordOpener(logWrap: keyring.keys.logWrap, plain: plain))
    guard pages.currentPages > 0 else { return [:] }
    let vfs = PagesVFS(host: pages)
    let connection = try Connection(pages: vfs, readOnly: true)
    let result = try connection.query("PRAGMA integrity_check")
    guard result == [[.text("ok")]] else {
      throw StoreError(.damaged, "integrity check: \(result.first?.first?.text ?? "?")")
    }
    guard try !connection.query("SELECT 1 FROM sqlite_master WHERE name = 'komora_recordings'").isEmpty else {
      return [:]
    }
    var needed: [RecordingID: Int] = [:]
    for row in try connection.query("SELECT id, length(chunk_names) FROM main.komora_recordings") {
      guard let recording = row[0].blob, recording.count == 16, case .integer(let bytes) = row[1] else { continue }
      needed[RecordingID(bytes: recording)] = Int(bytes) / 32
    }
    return needed
  }
}
