// Reads the chunks of a plan once, pack by pack with long reads, on two threads, and says which are not what was written.
// Chunks that a proof covers are opened where they lie in the buffer, the others decoded and compared. How far it came can
// be noted, so that the next run goes on there.

import Base
import Disk
import Formats
import Threads

final class VerifySweep: Sendable {
  struct Damage: Sendable {
    var unit: VerifyPlan.Unit?
    var name: ChunkName
    var owner: Int32
    var error: BackupError
    /// Another copy of the chunk is whole.
    var hasCopy = false
  }

  private struct State {
    var chunks: UInt64 = 0
    var decoded: UInt64 = 0
    var bytes: UInt64 = 0
    var damage: [Damage] = []
    /// Runs from the first one that are over, and those behind them.
    var over = 0
    var overAhead: Set<Int> = []
    /// Given out by then.
    var stopAt: Int?
    var taken: UInt64 = 0
    /// Names of the chunks of a recording that is not complete yet.
    var names: [Int32: [Int32: [UInt8]]] = [:]
    var noted: UInt64 = 0
    /// Buffers for runs that no thread reads into.
    var buffers: [[UInt8]] = []
  }

  private let plan: VerifyPlan
  private let reader: SnapshotReader
  private let order: VerifyOrder
  private let trust: VerifyTrust
  private let began = ContinuousClock.now
  private let state = Lock(State())
  private let note: @Sendable (VerifyPlan.Unit?, _ chunks: UInt64, _ bytes: UInt64, _ damaged: UInt64) throws -> Void
  private static let noteBytes: UInt64 = 256 << 20

  /// `note` hears of the first unit that was not read, now and then; nil when all were.
  init(
    _ plan: VerifyPlan, _ reader: SnapshotReader, _ order: VerifyOrder, _ trust: VerifyTrust,
    note: @escaping @Sendable (VerifyPlan.Unit?, UInt64, UInt64, UInt64) throws -> Void
  ) {
    self.plan = plan
    self.reader = reader
    self.order = order
    self.trust = trust
    self.note = note
  }

  /// Blocks until everything was read, or the budget is over.
  func run(_ meter: ProgressMeter) throws -> (summary: VerifySummary, damage: [Damage]) {
    for (name, owner) in plan.missing {
      let error = BackupError(.damaged, "chunk \(name) is in no pack of the archive", path: nil)
      state.with { $0.damage.append(Damage(unit: nil, name: name, owner: owner, error: error)) }
    }
    try BackupWork.forEach(plan.runs.count, priority: order.priority) { [self] number in
      guard try begins(number) else { return }
      try check(plan.runs[number])
      meter.advance(plan.runs[number].bytes)
      try end(number)
    }
    var summary = plan.summary
    let s = state.with { $0 }
    (summary.chunks, summary.bytes) = (s.chunks + UInt64(plan.missing.count), s.bytes)
    summary.chunksDecoded = s.decoded
    summary.damaged = UInt64(s.damage.count)
    summary.isComplete = s.stopAt == nil
    try note(first(behind: s), s.chunks, s.bytes, summary.damaged)
    return (summary, s.damage)
  }

  /// Whether a run is still inside the budget; the first one always is.
  private func begins(_ number: Int) throws -> Bool {
    try order.cancel.check()
    return state.with { s in
      if s.stopAt != nil { return false }
      let isOver =
        order.seconds.map { ContinuousClock.now - began >= .seconds($0) } ?? false
        || order.bytes.map { s.taken >= $0 } ?? false
      guard !isOver || number == 0 else {
        s.stopAt = number
        return false
      }
      s.taken += UInt64(plan.runs[number].bytes)
      return true
    }
  }

  private func first(behind s: State) -> VerifyPlan.Unit? {
    s.over < plan.runs.count ? plan.units[plan.runs[s.over].units.lowerBound] : nil
  }

  private func end(_ number: Int) throws {
    let due = state.with { s -> State? in
      s.overAhead.insert(number)
      while s.overAhead.remove(s.over) != nil { s.over += 1 }
      guard s.bytes - s.noted >= Self.noteBytes else { return nil }
      s.noted = s.bytes
      return s
    }
    if let due { try note(first(behind: due), due.chunks, due.bytes, UInt64(due.damage.count)) }
  }

  private func check(_ run: VerifyPlan.Run) throws {
    var bytes = state.with { $0.buffers.popLast() } ?? [UInt8](repeating: 0, count: VerifyPlan.runBytes)
    if bytes.count < run.bytes { bytes = [UInt8](repeating: 0, count: run.bytes) }
    let file: PackFile
    let count: Int
    do throws(BackupError) {
      file = try reader.index.packFile(run.pack)
      count = try file.read(run.bytes, at: run.offset, into: &bytes)
    } catch {
      guard error.code == .damaged || error.code == .notFound else { throw error }
      for i in run.units { found(plan.units[i], error) }
      return
    }
    var marks: [(unit: VerifyPlan.Unit, name: ChunkName, mark: FrameMark)] = []
    for i in run.units {
      try order.cancel.check()
      IdlePause.take()
      let unit = plan.units[i]
      let start = Int(unit.offset) - run.offset
      let place = start..<(start + Int(unit.bytes))
      guard place.upperBound <= count else {
        found(unit, BackupError(.damaged, "the pack ends early", path: file.path, offset: Int(unit.offset)))
        continue
      }
      do throws(BackupError) {
        let isCovered = trust.covers(unit, in: plan)
        var isDecoded = !isCovered || trust.samples(unit, in: plan)
        if isCovered {
          let name = plan.name(of: unit, reader.keys)
          let mark = FrameMark(raw: bytes.span.bytes.extracting(place), reader.keys)
          if isDecoded {
            try check(unit, bytes[place], file.path)
            marks.append((unit, name, mark))
          } else if authenticate(unit, name, &bytes, place) {
            marks.append((unit, name, mark))
          } else {
            // Says what is wrong with it, and with which byte. The buffer is no longer what was read.
            isDecoded = true
            try check(unit, try file.read(Int(unit.bytes), at: Int(unit.offset))[...], file.path)
          }
        } else {
          try check(unit, bytes[place], file.path)
        }
        state.with { [isDecoded] s in
          s.chunks += 1
          s.bytes += UInt64(unit.bytes)
          if isDecoded { s.decoded += 1 }
        }
      } catch {
        state.with { s in
          s.chunks += 1
          s.decoded += 1
        }
        found(unit, error)
      }
    }
    if !marks.isEmpty { trust.note(marks) }
    state.with { [bytes] in $0.buffers.append(bytes) }
  }

  private func check(_ unit: VerifyPlan.Unit, _ raw: ArraySlice<UInt8>, _ path: String) throws(BackupError) {
    let frame = try decoding(path, base: Int(unit.offset)) { () throws(BytesError) in
      try PackFrameHeader.open(frame: Array(raw))
    }
    let name = plan.name(of: unit, reader.keys)
    guard frame.header.name == name else {
      throw BackupError(.damaged, "another chunk lies here than the list says", path: path, offset: Int(unit.offset))
    }
    guard try opens(unit, frame) else {
      throw BackupError(.damaged, "the chunk does not open under its name", path: path, offset: Int(unit.offset))
    }
  }

  /// Whether the frame that lies in `place` is sealed as this chunk: then each of its bytes is what was sealed, but for its
  /// checksum, which its mark holds. What lies in `place` is something else afterwards.
  private func authenticate(
    _ unit: VerifyPlan.Unit, _ name: ChunkName, _ bytes: inout [UInt8], _ place: Range<Int>
  ) -> Bool {
    guard let header = try? PackFrameHeader(decoding: bytes[place]), header.frameBytes == place.count,
      header.name == name
    else { return false }
    let body = (place.lowerBound + PackFrameHeader.byteCount)..<(place.upperBound - 4)
    guard unit.owner >= 0 else {
      let expected = plan.manifests[Int(-1 - unit.owner)].groupBytes(Int(unit.number))
      return header.originalBytes == expected
        && DatabaseChunkCoder(keys: reader.keys).authenticate(header, &bytes, body: body)
    }
    let recording = plan.recordings[Int(unit.owner)]
    return header.kind == .recording
      && reader.recordings.authenticate(
        &bytes, body, number: Int(unit.number), count: recording.chunks, of: recording.id)
  }

  private func opens(_ unit: VerifyPlan.Unit, _ frame: (header: PackFrameHeader, body: ArraySlice<UInt8>))
    throws(BackupError) -> Bool
  {
    guard unit.owner >= 0 else {
      let expected = plan.manifests[Int(-1 - unit.owner)].groupBytes(Int(unit.number))
      return DatabaseChunkCoder(keys: reader.keys).open(frame.header, body: frame.body)?.count == expected
    }
    let recording = plan.recordings[Int(unit.owner)]
    guard
      let chunk = reader.recordings.open(
        frame.body, number: Int(unit.number), count: recording.chunks, of: recording.id)
    else { return false }
    if plan.isWhole { try keep(reader.recordings.name(ofChunk: chunk.original), unit, recording) }
    return true
  }

  /// Once all chunks of a recording were there, what they make is compared with its root.
  private func keep(_ name: [UInt8], _ unit: VerifyPlan.Unit, _ recording: ManifestBody.Recording) throws(BackupError) {
    let names = state.with { s -> [Int32: [UInt8]]? in
      s.names[unit.owner, default: [:]][unit.number] = name
      guard s.names[unit.owner]!.count == recording.chunks else { return nil }
      return s.names.removeValue(forKey: unit.owner)
    }
    guard let names else { return }
    let all = (0..<Int32(recording.chunks)).map { names[$0]! }
    guard RecordingRoot.hash(all) == recording.root else {
      throw BackupError(.damaged, "recording \(recording.id) is not what its row says")
    }
  }

  private func found(_ unit: VerifyPlan.Unit, _ error: BackupError) {
    let name = plan.name(of: unit, reader.keys)
    var damage = Damage(unit: unit, name: name, owner: unit.owner, error: error)
    damage.hasCopy =
      reader.index.copies(of: name) > 1
      && (try? reader.index.read(name) { frame in (try? opens(unit, (frame.header, frame.body))) == true ? true : nil })
        == true
    state.with { $0.damage.append(damage) }
  }
}
