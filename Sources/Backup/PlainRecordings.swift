// Recordings of a snapshot as plain files, some at a time: while one waits for its sync another is decoded.
//
// What an earlier run made durable is read again and compared with its row; only what is not that is written anew.

import Base
import Disk
import Formats

/// One thread at a time; the files are written by several.
struct PlainRecordings {
  struct Job: Sendable {
    var recording: ManifestBody.Recording
    var row: RecordingRows.Named
    var path: String
    /// Bytes at its front that an earlier run made durable.
    var durable: UInt64 = 0
  }

  private let reader: SnapshotReader
  private let disk: any Disk
  private let meter: ProgressMeter
  private let control: RestoreControl
  private var jobs: [Job] = []
  private var bytes: UInt64 = 0

  /// Recordings that wait to be written together; their names are all that is held of them.
  private static let batch = 256
  private static let threads = 4

  init(reader: SnapshotReader, disk: any Disk, meter: ProgressMeter, _ control: RestoreControl) {
    self.reader = reader
    self.disk = disk
    self.meter = meter
    self.control = control
  }

  /// Takes a recording for the next `finish`. True when that is due.
  mutating func add(_ job: Job) -> Bool {
    jobs.append(job)
    bytes += job.recording.bytes - min(job.durable, job.recording.bytes)
    return jobs.count >= Self.batch || bytes >= UInt64(control.groupBytes)
  }

  /// A recording of more than one group of chunks has to be written by itself.
  func isLarge(_ recording: ManifestBody.Recording) -> Bool { recording.bytes > UInt64(control.groupBytes) }

  /// Everything that was added is durable when it returns, but for the names.
  mutating func finish() throws {
    let (jobs, writer) = (jobs, Writer(reader: reader, disk: disk, meter: meter, control: control))
    (self.jobs, bytes) = ([], 0)
    try BackupWork.forEach(jobs.count, threads: Self.threads) { i in try writer.write(jobs[i]) { _ in } }
  }

  /// Writes a large one; `synced` hears how much of it is durable.
  func write(_ job: Job, synced: (UInt64) throws -> Void) throws {
    try Writer(reader: reader, disk: disk, meter: meter, control: control).write(job, synced: synced)
  }

  private struct Writer {
    let reader: SnapshotReader
    let disk: any Disk
    let meter: ProgressMeter
    let control: RestoreControl

    func write(_ job: Job, synced: (UInt64) throws -> Void) throws {
      if job.durable > 0, try attempt(job, from: job.durable, synced) { return }
      _ = try attempt(job, from: 0, synced)
    }

    /// Whole blocks from aligned memory; only what is left of the last one goes through the page cache.
    private static func write(
      _ chunk: [UInt8], to file: any DiskFile, at offset: UInt64, _ buffer: DiskBuffer
    ) throws(DiskError) {
      let whole = chunk.count & ~(DiskBuffer.alignment - 1)
      let bytes = chunk.span.bytes
      if whole > 0 {
        buffer.clear()
        buffer.append(bytes.extracting(first: whole))
        try buffer.withSpan { span throws(DiskError) in try file.write(span, at: offset) }
      }
      if whole < chunk.count { try file.write(bytes.extracting(droppingFirst: whole), at: offset + UInt64(whole)) }
    }

    /// False when what is there is not the recording's front.
    private func attempt(_ job: Job, from durable: UInt64, _ synced: (UInt64) throws -> Void) throws -> Bool {
      // Nobody reads it soon: past the page cache a gigabyte costs a tenth of the processor time.
      let file = try disk.open(job.path, .createOrOpen, direct: true)
      guard try file.size() >= durable else { return false }
      try file.truncate(to: durable)
      let recording = job.recording
      let pace = RestorePace(control)
      let buffer = DiskBuffer(capacity: min(Limits.recordingChunkBytes, Int(clamping: recording.bytes)))
      var names: [[UInt8]] = []
      var offset: UInt64 = 0
      for number in 0..<recording.chunks {
        try control.cancel.check()
        let isThere = offset < durable
        let chunk: [UInt8]
        if isThere {
          chunk = try file.read(Int(min(UInt64(Limits.recordingChunkBytes), durable - offset)), at: offset)
        } else {
          chunk = try reader.chunk(number, of: recording)
          try Self.write(chunk, to: file, at: offset, buffer)
        }
        names.append(reader.recordings.name(ofChunk: chunk))
        offset += UInt64(chunk.count)
        if !isThere { meter.advance(chunk.count) }
        guard !isThere, offset < recording.bytes, pace.isDue(after: chunk.count) else { continue }
        try file.sync()
        try synced(offset)
      }
      // The root is over keyed hashes of these very bytes: the row's MD5 would only say it again, and slower.
      guard offset == UInt64(clamping: job.row.bytes), offset == recording.bytes,
        RecordingRoot.hash(names) == recording.root
      else {
        if durable > 0 { return false }
        throw BackupError(.damaged, "recording \(job.row.id) is not what its row says", path: job.path)
      }
      if durable > 0 { meter.advance(Int(clamping: durable)) }
      if durable < recording.bytes || durable == 0 { try file.sync() }
      return true
    }
  }
}
