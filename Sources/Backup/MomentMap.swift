// Which moments an archive can give back: its runs joined to chains, its snapshots placed in them.
//
// A moment is restorable when a snapshot lies at or before it in a chain that reaches it without a hole. Snapshots are
// placed by their position in the log; when they were made only counts where the log says nothing.

public import Base
import Disk
import Formats

/// Restorable without a hole, both ends included.
public struct MomentSpan: Sendable, Equatable {
  public var from: UnixMicroseconds
  public var through: UnixMicroseconds

  public init(from: UnixMicroseconds, through: UnixMicroseconds) {
    self.from = from
    self.through = through
  }

  /// `2026-11-22T19:44:33.123456Z to …`.
  public var text: String { "\(RFC3339.text(from)) to \(RFC3339.text(through))" }
}

struct MomentMap: Sendable {
  /// A snapshot and the moment from which on its state was that of the account.
  struct Base: Sendable {
    var snapshot: SnapshotInfo
    var time: UnixMicroseconds
  }

  struct Chain: Sendable {
    /// Joined; none for a snapshot that no run touches.
    var runs: [LogRun]
    /// By position.
    var bases: [Base]

    var firstIndex: LogIndex { runs.first?.header.first ?? bases[0].snapshot.position.index }
    var lastIndex: LogIndex { runs.last?.header.last ?? bases[0].snapshot.position.index }

    /// What it can restore; nil without a snapshot.
    var span: MomentSpan? {
      guard let first = bases.first else { return nil }
      // Whoever took a snapshot at the end of the chain saw that nothing had followed.
      let seen = bases.filter { $0.snapshot.position.index == lastIndex }.map(\.snapshot.createdAt)
      let end = runs.last?.header.lastTime ?? first.time
      return MomentSpan(from: first.time, through: max(first.time, seen.reduce(end, max)))
    }
  }

  /// By index.
  let chains: [Chain]
  var hasLog: Bool { chains.contains { !$0.runs.isEmpty } }
  var spans: [MomentSpan] { chains.compactMap(\.span) }

  /// `snapshots` by position, `runs` by first index. `timeInside` gives the time of a record in the middle of a run.
  init(
    snapshots: [SnapshotInfo], runs: [LogRun],
    timeInside: (LogRun, Position) throws(BackupError) -> UnixMicroseconds?
  ) throws(BackupError) {
    var chains: [Chain] = []
    for run in runs {
      if let last = chains.last?.runs.last?.header, Self.joins(run.header, last) {
        if run.header.last > last.last { chains[chains.count - 1].runs.append(run) }
      } else {
        chains.append(Chain(runs: [run], bases: []))
      }
    }
    var alone: [Chain] = []
    for snapshot in snapshots {
      if let (chain, time) = try Self.place(snapshot, in: chains, timeInside) {
        chains[chain].bases.append(Base(snapshot: snapshot, time: time))
      } else if let last = alone.last, last.bases[0].snapshot.position == snapshot.position {
        alone[alone.count - 1].bases.append(Base(snapshot: snapshot, time: snapshot.createdAt))
      } else {
        alone.append(Chain(runs: [], bases: [Base(snapshot: snapshot, time: snapshot.createdAt)]))
      }
    }
    for i in alone.indices { alone[i].bases.sort { $0.time < $1.time } }
    self.chains = (chains + alone).sorted { $0.firstIndex < $1.firstIndex }
  }

  private static func joins(_ next: LogRunHeader, _ last: LogRunHeader) -> Bool {
    next.first == last.last + 1 ? next.previous == last.lastChecksum : next.first <= last.last
  }

  /// The chain that a snapshot lies in, and its record's time.
  private static func place(
    _ snapshot: SnapshotInfo, in chains: [Chain],
    _ timeInside: (LogRun, Position) throws(BackupError) -> UnixMicroseconds?
  ) throws(BackupError) -> (Int, UnixMicroseconds)? {
    let place = snapshot.position
    for (i, chain) in chains.enumerated() {
      guard let run = chain.runs.first(where: { $0.header.first <= place.index + 1 && place.index <= $0.header.last })
      else { continue }
      let header = run.header
      if place.index + 1 == header.first {
        guard header.previous == place.checksum else { continue }
        // An account's state before its first record here: it was so when the snapshot was made.
        let time = header.previousTime > 0 ? header.previousTime : min(snapshot.createdAt, header.firstTime - 1)
        return (i, time)
      }
      if place.index == header.last {
        guard header.lastChecksum == place.checksum else { continue }
        return (i, header.lastTime)
      }
      if let time = try timeInside(run, place) { return (i, time) }
    }
    return nil
  }

  /// Reads the archive below `layout`.
  static func read(_ disk: any Disk, _ layout: ArchiveLayout) throws(BackupError) -> MomentMap {
    let snapshots = try ManifestStore(disk: disk, layout: layout).list().snapshots
    let runs = try ArchivedLog(disk: disk, layout: layout).list().runs
    return try MomentMap(snapshots: snapshots, runs: runs) { (run, place) throws(BackupError) in
      try Self.time(of: place, in: run, disk)
    }
  }

  /// Nil when another record lies there, or the file is damaged.
  static func time(of place: Position, in run: LogRun, _ disk: any Disk) throws(BackupError) -> UnixMicroseconds? {
    do throws(BackupError) {
      return try run.read(disk).records.first { $0.position == place }?.header.time
    } catch {
      guard error.code == .damaged else { throw error }
      return nil
    }
  }
}
