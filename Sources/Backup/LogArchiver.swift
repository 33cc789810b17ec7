// Copies what is published of an account's log into its archive: run after run, each behind the one before.
//
// Order is everything here too: the chunks of the recordings that a run's records make exist, then the keyring's state
// that opens them, then the run itself. An archiver that dies anywhere leaves whole packs at most; the next one goes on
// behind the last run. Writers wait for nothing of this: only published records are read, from the account's segments.
//
// The log is worth archiving only behind a snapshot. Where the account's log does not reach back to the archived one (a
// node that led long ago leads again), a new chain begins behind the oldest snapshot that it does reach back to: a gap
// that a restore names.

import AtRest
package import Base
import Disk
import Formats
import OpenSSL
import ShardStore
import Threads

/// What one round archived.
package struct LogArchiveReport: Sendable, Equatable {
  package var records = 0
  package var runs = 0
  package var bytes: UInt64 = 0
  package var recordings = 0
  /// Up to where the log is archived; nil when there is no snapshot for it to follow.
  package var end: LogIndex?
}

struct LogArchiver: Sendable {
  let disk: any Disk
  let layout: ArchiveLayout
  let index: ArchiveIndex
  let gate: ArchiveGate
  let engine: Engine
  let runBytes: Int
  let packBytesMax: Int

  private var account: AccountID { layout.account }

  /// Archives everything that is published when it first looks; what comes meanwhile is for the next round, else a busy
  /// account would have many small runs.
  func run() async throws -> LogArchiveReport {
    try await gate.archiver.run {
      do { return try await archive() } catch { throw BackupError(anyOf: error) }
    }
  }

  private func archive() async throws -> LogArchiveReport {
    var report = LogArchiveReport()
    guard var end = try await knownEnd() else { return report }
    var goal: LogIndex?
    while goal.map({ end.position.index < $0 }) ?? true {
      let found = try await engine.publishedRecords(account, from: end.position.index + 1, bytesMax: runBytes)
      guard let found, joins(found, end) else {
        // Also when another base took the replica's place between two runs.
        guard let other = try await beginning(after: end.position.index) else {
          throw BackupError(
            .refused,
            "the log of account \(account) does not go back to the archived one, which ends at \(end.position); the next "
              + "snapshot begins it anew", path: layout.log)
        }
        end = other
        continue
      }
      report.end = end.position.index
      goal = goal ?? found.published.index
      guard !found.records.isEmpty else { return report }
      end = try await write(found.records, behind: end, &report)
      gate.logEnd.with { [end] in $0 = end }
    }
    return report
  }

  private func joins(_ found: PublishedRecords, _ end: ArchiveGate.LogEnd) -> Bool {
    guard let first = found.records.first else {
      return found.published.index == end.position.index && found.published.checksum == end.position.checksum
    }
    return first.header.previous == end.position.checksum
  }

  // MARK: where to go on

  private func knownEnd() async throws -> ArchiveGate.LogEnd? {
    if let known = gate.logEnd.with({ $0 }) { return known }
    let end: ArchiveGate.LogEnd?
    if let last = try await BackupWork.perform({ try self.lastRun() }) {
      end = last
    } else {
      end = try await beginning(after: nil)
    }
    gate.logEnd.with { $0 = end }
    return end
  }

  /// The newest run that is whole. It is written again as it is: a process before this one may have ended after a failed
  /// sync of its name, and nothing may follow a run that a crash takes away. Damaged ones behind it are written anew.
  private func lastRun() throws(BackupError) -> ArchiveGate.LogEnd? {
    do throws(DiskError) {
      // Accounts without a snapshot get no directory.
      guard try disk.info(layout.log) != nil else { return nil }
      try disk.syncDirectory(layout.directory)
      for name in try disk.list(layout.log) where name.hasSuffix(ArchiveLayout.unfinishedSuffix) {
        try disk.remove("\(layout.log)/\(name)")
      }
    } catch { throw BackupError(error) }
    for name in try ArchivedLog(disk: disk, layout: layout).names().reversed() {
      let path = "\(layout.log)/\(name)"
      do throws(BackupError) {
        let run = try LogRun.open(path, disk: disk, account: account)
        let content = try run.read(disk)
        let bytes = LogRun.encode(content.records, key: content.key, previousTime: run.header.previousTime)
        try onDisk { () throws(DiskError) in try disk.replaceFile(path, bytes) }
        return ArchiveGate.LogEnd(
          position: run.header.end, time: run.header.lastTime,
          key: content.records.last { $0.header.carriesKey } ?? content.key)
      } catch { guard error.code == .damaged else { throw error } }
    }
    return nil
  }

  /// The oldest snapshot behind `index` (any when it is nil) behind which the account's log still has every record.
  private func beginning(after index: LogIndex?) async throws -> ArchiveGate.LogEnd? {
    let store = ManifestStore(disk: disk, layout: layout)
    let snapshots = try await BackupWork.perform { try store.list().snapshots }
    for snapshot in snapshots where snapshot.position.index > index ?? 0 {
      let place = snapshot.position
      if let found = try await engine.publishedRecords(account, from: place.index, bytesMax: 1) {
        guard let record = found.records.first, record.position == place else { continue }
        return ArchiveGate.LogEnd(position: place, time: record.header.time, key: nil)
      }
      // An account that was restored has a position before its first record.
      let end = ArchiveGate.LogEnd(position: place, time: 0, key: nil)
      let next = try await engine.publishedRecords(account, from: place.index + 1, bytesMax: 1)
      if let next, joins(next, end) { return end }
    }
    return nil
  }

  // MARK: one run

  private func write(
    _ records: [SealedRecord], behind end: ArchiveGate.LogEnd, _ report: inout LogArchiveReport
  ) async throws -> ArchiveGate.LogEnd {
    let key = try await keyRecord(for: records[0], known: end.key)
    let recordings = try await writeRecordings(of: records)
    let bytes = LogRun.encode(records, key: key, previousTime: end.time)
    let path = layout.logRun(first: records[0].header.index)
    let (disk, layout, gate) = (disk, layout, gate)
    try await BackupWork.perform {
      try onDisk { () throws(DiskError) in
        // Whoever made it may have died, or failed, before its name was durable.
        if !gate.hasLogDirectory.with({ $0 }) { try disk.makeDurableDirectory(layout.log) }
        gate.hasLogDirectory.with { $0 = true }
        try disk.replaceFile(path, bytes)
      }
    }
    let last = records[records.count - 1]
    report.records += records.count
    report.runs += 1
    report.bytes += UInt64(bytes.count)
    report.recordings += recordings
    report.end = last.header.index
    return ArchiveGate.LogEnd(
      position: last.position, time: last.header.time, key: records.last { $0.header.carriesKey } ?? key)
  }

  private func keyRecord(for first: SealedRecord, known: SealedRecord?) async throws -> SealedRecord? {
    if first.header.carriesKey { return nil }
    if let known, known.header.epoch == first.header.epoch { return known }
    let found = try await engine.keyRecord(account, before: first.header.index)
    guard let found, found.header.epoch == first.header.epoch else {
      throw BackupError(
        .refused,
        "the log of account \(account) does not go back to the key of record \(first.position); the next "
          + "snapshot begins the archived log anew", path: layout.log)
    }
    return found
  }

  /// Puts the recordings that `records` make exist into packs, and their keys beside the archive. Gives how many.
  private func writeRecordings(of records: [SealedRecord]) async throws -> Int {
    var named: [RecordingID] = []
    for record in records where record.header.kind == .recordings {
      for id in try await engine.recordings(namedBy: record) where !named.contains(id) { named.append(id) }
    }
    guard !named.isEmpty else { return 0 }
    let keyring = try await BackupWork.perform { [engine, account] in try engine.keyring(account) }
    let keys = ArchiveKeys(account: account, archive: keyring.archive, signing: keyring.keys.signing)
    let output = PackOutput(
      disk: disk, layout: layout, index: index, packBytesMax: packBytesMax, gate: gate, in: layout.log)
    var written = 0
    do {
      for id in named where keyring.hasRecordingKey(id) {
        do { try await write(id, to: output, keys) } catch {
          // Erased while it was copied: then it is in no archive either.
          guard !keyring.hasRecordingKey(id) else { throw error }
        }
        written += 1
      }
      let (disk, layout, gate) = (disk, layout, gate)
      try await BackupWork.perform {
        try disk.makeDurableDirectory(layout.packs)
        _ = try output.finish()
        try gate.keyring.with { _ in try disk.replaceFile(layout.keyring, keyring.exportState()) }
      }
    } catch {
      BackupWork.run { output.abandon() }
      throw error
    }
    return written
  }

  private func write(_ recording: RecordingID, to output: PackOutput, _ keys: ArchiveKeys) async throws {
    let sealed = try await engine.sealedRecording(account, recording)
    for number in sealed.frameBytes.indices {
      let name = keys.name(of: recording, chunk: number)
      guard !output.has(name, trusting: true) else { continue }
      let body = try await sealed.frame(number)
      try await BackupWork.perform { [disk, layout] in
        if try disk.info(layout.log) == nil { try disk.makeDurableDirectory(layout.log) }
        let frame = PackFrameHeader.frame(kind: .recording, coding: .own, originalBytes: 0, name: name, body: body)
        try output.add(frame: frame, name: name)
      }
    }
  }
}
