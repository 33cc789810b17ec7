// Which chunks an archive holds, and where: the union of the lists of its packs, read when first asked for and then
// kept.
//
// Names are keyed hashes, so their first 128 bits tell them apart; the whole name is compared when a chunk is read. A
// chunk may lie in several packs (a copy that turned out damaged was written again); each place is tried.

import Base
package import Disk
package import Formats
import Threads

package final class ArchiveIndex: Sendable {
  package struct Place: Sendable, Equatable {
    var pack: Int
    var offset: UInt32
    var bytes: UInt32
  }

  private struct State {
    var packs: [PackID] = []
    var known: Set<PackID> = []
    var places: [UInt128: Place] = [:]
    /// Further places of the few chunks that have more than one.
    var others: [UInt128: [Place]] = [:]
    var damaged: [BackupError] = []
    /// Open packs, the oldest use first.
    var open: [(pack: Int, file: PackFile)] = []
    var reads = 0
  }

  private let disk: any Disk
  private let layout: ArchiveLayout
  private let state = Lock(State())
  static let openPacksMax = 16

  package init(disk: any Disk, layout: ArchiveLayout) {
    self.disk = disk
    self.layout = layout
  }

  /// Reads the lists of packs that came since. A pack that cannot be read gives nothing and is named in `damaged`.
  package func refresh() throws(BackupError) {
    let names: [String]
    do throws(DiskError) { names = try disk.list(layout.packs) } catch {
      guard error.code == .notFound else { throw BackupError(error) }
      return
    }
    let listed = Set(names.compactMap { ArchiveLayout.packID(ofFile: $0) })
    // Removed meanwhile: by who lets snapshots expire, or by hand.
    forget(state.with { s in s.packs.filter { !listed.contains($0) } })
    for name in names {
      guard let id = ArchiveLayout.packID(ofFile: name), !state.with({ $0.known.contains(id) }) else { continue }
      do throws(BackupError) {
        add(pack: id, try PackFile(disk: disk, layout: layout, id: id).entries())
      } catch {
        guard error.code == .damaged else { throw error }
        state.with {
          $0.known.insert(id)
          $0.damaged.append(error)
        }
      }
    }
  }

  /// Adds a pack that was finished now.
  package func add(pack id: PackID, _ entries: [PackTrailer.Entry]) {
    state.with { s in
      guard s.known.insert(id).inserted else { return }
      s.packs.append(id)
      s.places.reserveCapacity(s.places.count + entries.count)
      for entry in entries {
        let place = Place(pack: s.packs.count - 1, offset: UInt32(entry.offset), bytes: UInt32(entry.bytes))
        if s.places[entry.name.high] == nil {
          s.places[entry.name.high] = place
        } else {
          s.others[entry.name.high, default: []].append(place)
        }
      }
    }
  }

  /// Drops packs whose names may not have become durable; they are not read again by this process.
  package func forget(_ packs: [PackID]) {
    state.with { s in
      let gone = Set(s.packs.indices.filter { packs.contains(s.packs[$0]) })
      guard !gone.isEmpty else { return }
      s.others = s.others.mapValues { $0.filter { !gone.contains($0.pack) } }.filter { !$0.value.isEmpty }
      for (name, place) in s.places where gone.contains(place.pack) {
        s.places[name] = s.others[name]?.removeFirst()
        if s.others[name]?.isEmpty == true { s.others[name] = nil }
      }
    }
  }

  package func contains(_ name: ChunkName) -> Bool { state.with { $0.places[name.high] != nil } }
  /// Chunks that were asked for so far.
  package var reads: Int { state.with { $0.reads } }
  package var chunks: Int { state.with { $0.places.count } }
  func place(of name: ChunkName) -> Place? { state.with { $0.places[name.high] } }
  func copies(of name: ChunkName) -> Int {
    state.with { s in s.places[name.high] == nil ? 0 : 1 + (s.others[name.high]?.count ?? 0) }
  }
  /// By their numbers in `Place`.
  func packIDs() -> [PackID] { state.with { $0.packs } }
  /// Of each pack by its number: which place its id has among all.
  func packOrder() -> [Int] {
    let packs = packIDs()
    var order = [Int](repeating: 0, count: packs.count)
    for (place, number) in packs.indices.sorted(by: { packs[$0] < packs[$1] }).enumerated() { order[number] = place }
    return order
  }
  package var damagedPacks: [BackupError] { state.with { $0.damaged } }

  /// The chunk called `name`, checked as far as is possible without its key.
  package func read(_ name: ChunkName) throws(BackupError) -> (header: PackFrameHeader, body: ArraySlice<UInt8>) {
    try read(name) { frame in (frame.header, frame.body) }
  }

  /// As `read`, through `open`, which gives nil when the chunk is not good; then the next place is tried.
  package func read<T>(
    _ name: ChunkName, open: (StoredFrame) -> T?
  ) throws(BackupError) -> T {
    let places = state.with { s in
      s.reads += 1
      return s.places[name.high].map { [$0] + (s.others[name.high] ?? []) } ?? []
    }
    var failure = BackupError(.damaged, "chunk \(name) is in no pack of the archive", path: layout.packs)
    for place in places {
      do throws(BackupError) {
        let file = try packFile(place.pack)
        if let value = open(try file.frame(name, at: Int(place.offset), bytes: Int(place.bytes))) { return value }
        failure = BackupError(
          .damaged, "the chunk does not open under its name", path: file.path, offset: Int(place.offset))
      } catch { failure = error }
    }
    throw failure
  }

  func packFile(_ pack: Int) throws(BackupError) -> PackFile {
    let (id, ready) = state.with { s -> (PackID, PackFile?) in
      guard let i = s.open.lastIndex(where: { $0.pack == pack }) else { return (s.packs[pack], nil) }
      let entry = s.open.remove(at: i)
      s.open.append(entry)
      return (s.packs[pack], entry.file)
    }
    if let ready { return ready }
    let file = try PackFile(disk: disk, layout: layout, id: id)
    state.with { s in
      s.open.append((pack, file))
      if s.open.count > Self.openPacksMax { s.open.removeFirst() }
    }
    return file
  }
}
