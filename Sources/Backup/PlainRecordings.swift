// Recordings of a snapshot as plain files, some at a time: while one waits for its sync another is decoded.

import Base
import Disk
import Formats
import OpenSSL

/// One thread at a time; the files are written by several.
struct PlainRecordings {
  private struct Job: Sendable {
    var recording: ManifestBody.Recording
    var row: RecordingRows.Named
    var path: String
  }

  private let reader: SnapshotReader
  private let disk: any Disk
  private let meter: ProgressMeter
  private var jobs: [Job] = []

  /// Recordings that wait to be written together; their names are all that is held of them.
  private static let batch = 256
  private static let threads = 4

  init(reader: SnapshotReader, disk: any Disk, meter: ProgressMeter) {
    self.reader = reader
    self.disk = disk
    self.meter = meter
  }

  /// Writes `recording`, which `row` names, to a new file at `path`, now or with those that come after it.
  mutating func add(_ recording: ManifestBody.Recording, _ row: RecordingRows.Named, _ path: String) throws {
    jobs.append(Job(recording: recording, row: row, path: path))
    if jobs.count >= Self.batch { try finish() }
  }

  /// Everything that was added is durable when it returns, but for the names.
  mutating func finish() throws {
    let (jobs, reader, disk, meter) = (jobs, reader, disk, meter)
    self.jobs = []
    try BackupWork.forEach(jobs.count, threads: Self.threads) { i in try Self.write(jobs[i], reader, disk, meter) }
  }

  private static func write(
    _ job: Job, _ reader: SnapshotReader, _ disk: any Disk, _ meter: ProgressMeter
  ) throws {
    let file = try disk.open(job.path, .create)
    let md5 = Hasher(.md5)
    var offset: UInt64 = 0
    try reader.read(job.recording) { chunk in
      try file.write(chunk, at: offset)
      md5.update(chunk)
      offset += UInt64(chunk.count)
      meter.advance(chunk.count)
    }
    guard md5.finish() == job.row.md5, offset == UInt64(clamping: job.row.bytes) else {
      throw BackupError(.damaged, "recording \(job.row.id) is not what its row says", path: job.path)
    }
    try file.sync()
  }
}
