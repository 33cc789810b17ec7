// The chunks that some snapshots name, each once, in the order in which they lie in the packs: what a verification reads.
//
// A chunk takes 20 bytes here, whatever its name is: names are made again from what it stands for.

import Base
import Formats
import OpenSSL

struct VerifyPlan: Sendable {
  /// Neighbouring chunks of one pack, read at once.
  struct Run: Sendable {
    var pack: Int
    var units: Range<Int>
    var offset: Int
    var bytes: Int
  }

  struct Unit: Sendable {
    var pack: UInt32
    var offset: UInt32
    var bytes: UInt32
    /// Number of the recording; a group of pages has its manifest's, as -1 - n.
    var owner: Int32
    /// Of the chunk in the recording, or of the group.
    var number: Int32
  }

  static let runBytes = 2 << 20
  static let gapBytes = 128 << 10

  private(set) var units: [Unit] = []
  private(set) var runs: [Run] = []
  private(set) var recordings: [ManifestBody.Recording] = []
  /// The manifest from which each recording was taken.
  private var recordingManifests: [Int32] = []
  private(set) var summary: VerifySummary
  /// Chunks that no pack holds, with one that names them.
  private(set) var missing: [(name: ChunkName, owner: Int32)] = []
  let manifests: [Manifest]
  /// Nothing was left out: recordings and databases can be judged as wholes.
  private(set) var isWhole = true

  /// Chunks that several snapshots name belong to the first of `visited`, the numbers of all manifests.
  init(_ manifests: [Manifest], _ reader: SnapshotReader, visited: [Int]) {
    self.manifests = manifests
    summary = VerifySummary(account: reader.keys.account, snapshots: manifests.count)
    addGroups(reader, visited)
    addRecordings(reader, visited)
    let order = reader.index.packOrder()
    units.sort { ($0.pack == $1.pack ? 0 : order[Int($0.pack)] - order[Int($1.pack)], $0.offset) < (0, $1.offset) }
    summary.chunksAll = UInt64(units.count + missing.count)
    summary.bytesAll = units.reduce(0) { $0 + UInt64($1.bytes) }
    summary.chunksChosen = summary.chunksAll
  }

  private mutating func addGroups(_ reader: SnapshotReader, _ visited: [Int]) {
    var seen: Set<UInt128> = []
    for i in visited {
      for (number, name) in manifests[i].body.groups.enumerated() where seen.insert(name.high).inserted {
        add(name, owner: Int32(-1 - i), number, reader)
      }
    }
  }

  private mutating func addRecordings(_ reader: SnapshotReader, _ visited: [Int]) {
    var seen: Set<RecordingID> = []
    for i in visited {
      for recording in manifests[i].body.recordings where seen.insert(recording.id).inserted {
        guard reader.recordings.hasKey(recording.id) else {
          summary.erased += 1
          continue
        }
        recordings.append(recording)
        recordingManifests.append(Int32(i))
        for number in 0..<recording.chunks {
          add(reader.keys.name(of: recording.id, chunk: number), owner: Int32(recordings.count - 1), number, reader)
        }
      }
    }
  }

  private mutating func add(_ name: ChunkName, owner: Int32, _ number: Int, _ reader: SnapshotReader) {
    guard let place = reader.index.place(of: name) else { return missing.append((name, owner)) }
    units.append(
      Unit(
        pack: UInt32(place.pack), offset: place.offset, bytes: place.bytes, owner: owner, number: Int32(number)))
  }

  /// Leaves those chunks whose names lie in `part` of all, beginning at `start`: names are keyed hashes, so this is a sample
  /// by chance, and the next one along covers others.
  mutating func sample(_ part: Double, from start: UInt64, _ keys: ArchiveKeys) {
    guard part < 1 else { return }
    let width = UInt64(part * 18_446_744_073_709_549_568)
    units = units.filter { UInt64(truncatingIfNeeded: name(of: $0, keys).high >> 64) &- start < width }
    (missing, isWhole) = ([], false)
    summary.chunksChosen = UInt64(units.count)
  }

  /// Leaves what lies at or behind a place.
  mutating func skip(before pack: PackID, _ offset: UInt32, _ index: ArchiveIndex) {
    let ids = index.packIDs()
    let count = units.count
    units = units.filter { unit in
      let id = ids[Int(unit.pack)]
      return id > pack || (id == pack && unit.offset >= offset)
    }
    if units.count < count { isWhole = false }
    summary.chunksChosen = UInt64(units.count)
  }

  /// Only the chunks of snapshots with a proof, but for those that the snapshots `holding`, by number, name too.
  func rest(besides holding: Set<Int>, _ trust: VerifyTrust) -> VerifyPlan {
    var plan = self
    var (groups, held): (Set<UInt128>, Set<RecordingID>) = ([], [])
    for i in holding {
      for name in manifests[i].body.groups { groups.insert(name.high) }
      for recording in manifests[i].body.recordings { held.insert(recording.id) }
    }
    plan.units = units.filter { unit in
      guard trust.covers(unit, in: self) else { return false }
      guard unit.owner >= 0 else {
        return !groups.contains(manifests[Int(-1 - unit.owner)].body.groups[Int(unit.number)].high)
      }
      return !held.contains(recordings[Int(unit.owner)].id)
    }
    (plan.runs, plan.missing) = ([], [])
    plan.makeRuns()
    return plan
  }

  mutating func makeRuns() {
    for (i, unit) in units.enumerated() {
      let (offset, end) = (Int(unit.offset), Int(unit.offset) + Int(unit.bytes))
      if let last = runs.last, last.pack == Int(unit.pack), offset - (last.offset + last.bytes) <= Self.gapBytes,
        end - last.offset <= Self.runBytes
      {
        runs[runs.count - 1].units = last.units.lowerBound..<(i + 1)
        runs[runs.count - 1].bytes = max(last.bytes, end - last.offset)
      } else {
        runs.append(Run(pack: Int(unit.pack), units: i..<(i + 1), offset: offset, bytes: end - offset))
      }
    }
  }

  /// The number of the manifest that the chunk belongs to.
  func manifest(of unit: Unit) -> Int {
    unit.owner < 0 ? Int(-1 - unit.owner) : Int(recordingManifests[Int(unit.owner)])
  }

  func name(of unit: Unit, _ keys: ArchiveKeys) -> ChunkName {
    unit.owner < 0
      ? manifests[Int(-1 - unit.owner)].body.groups[Int(unit.number)]
      : keys.name(of: recordings[Int(unit.owner)].id, chunk: Int(unit.number))
  }

  /// The snapshots that name a chunk of this owner, by their number.
  func snapshots(naming name: ChunkName, owner: Int32) -> [Int] {
    manifests.indices.filter { i in
      owner < 0
        ? manifests[i].body.groups.contains(name)
        : manifests[i].body.recordings.contains { $0.id == recordings[Int(owner)].id }
    }
  }
}
