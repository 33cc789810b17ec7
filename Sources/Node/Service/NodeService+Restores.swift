// Restores that an earlier process of this node began: found at its start by what lies beside the accounts, and gone on
// with under the id that their jobs had.

import Backup
import Base
import Formats
import Logging
import ShardStore
import Threads

/// What a restore's progress keeps for the node: which job it was, and of what. Ids only, no name of a tenant.
struct RestoreNote: Sendable {
  var job: JobID
  var source: AccountID
  var point: NodeService.RestorePoint.Name

  init(job: JobID, source: AccountID, point: NodeService.RestorePoint) {
    self.job = job
    self.source = source
    self.point = point.name
  }

  var bytes: [UInt8] {
    var members: [(name: String, value: FlatJSON.Value)] = [("job", .text("\(job)")), ("source", .text("\(source)"))]
    switch point {
    case .snapshot(let id): members.append(("snapshot", .text("\(id)")))
    case .moment(let moment): members.append(("moment", .integer(moment)))
    }
    return Array(FlatJSON(members).object.utf8)
  }

  init?(_ bytes: [UInt8]) {
    guard let object = FlatJSON(object: String(decoding: bytes, as: UTF8.self)),
      let job = object.text("job").flatMap({ JobID($0) }), let source = object.text("source").flatMap({ AccountID($0) })
    else { return nil }
    (self.job, self.source) = (job, source)
    if let id = object.text("snapshot").flatMap({ SnapshotID($0) }) {
      point = .snapshot(id)
    } else if case .integer(let moment)? = object["moment"] {
      point = .moment(moment)
    } else {
      return nil
    }
  }
}

extension NodeService.RestorePoint {
  enum Name: Sendable, Equatable {
    case snapshot(SnapshotID)
    case moment(UnixMicroseconds)
  }

  var name: Name {
    switch self {
    case .snapshot(let info): .snapshot(info.id)
    case .moment(let moment): .moment(moment)
    }
  }
}

extension NodeService {
  /// Result of a restore's job while it runs: by it the same request finds it again.
  static func words(_ request: RestoreRequest) -> [String: String] {
    guard !request.dryRun, request.only == nil else { return [:] }
    var words = ["as": request.target]
    if let moment = request.moment { words["wanted_at"] = RFC3339.text(moment) }
    if let snapshot = request.snapshot { words["snapshot"] = "\(snapshot)" }
    return words
  }

  /// The job that makes what `request` wants already.
  func runningRestore(like request: RestoreRequest) -> JobID? {
    let words = Self.words(request)
    guard !words.isEmpty else { return nil }
    return jobs.all.first {
      $0.kind == .restore && $0.account == request.account && !$0.state.isFinal && $0.result == words
    }?.id
  }

  func dropRestore(of id: AccountID) async {
    try? await forget(id)
    try? await engine.removeAccount(id)
    let engine = engine
    try? await blocking { try engine.abandonRestore(of: id) }
  }

  /// Starts the job anew; false when what there is of it does not say how.
  func continueRestore(of target: AccountRecord) async -> Bool {
    let (engine, id) = (engine, target.id)
    guard let progress = try? await blocking({ engine.unfinishedRestore(of: id) }) else {
      guard engine.hasAccount(id) else { return false }
      // Only its record was missing.
      return (try? await setState(id, .active)) != nil
    }
    guard let note = RestoreNote(progress.note), let source = control.view.with({ $0[note.source]?.record }) else {
      return false
    }
    var request = RestoreRequest(account: source.name, target: target.name)
    switch note.point {
    case .snapshot(let snapshot): request.snapshot = snapshot
    case .moment(let moment): request.moment = moment
    }
    let wanted = request
    let started = try? jobs.start(
      .restore, account: source.name, sharing: false, result: Self.words(wanted), id: note.job
    ) { reporter in
      do {
        let point = try await self.point(wanted, source)
        let result = try await self.plan(point, source, only: nil).merging(["source": "archive"]) { $1 }
        return try await self.restore(point, from: source, to: target, reporter, result)
      } catch {
        // What cannot even be planned any more is not tried at every start.
        if !JobScope.current.cancel.keepsWork { await regardless { await self.dropRestore(of: target.id) } }
        throw NodeError(describing: error)
      }
    }
    Logger(label: "accounts").notice("a restore goes on", metadata: ["account": "\(id)", "job": "\(note.job)"])
    return started != nil
  }

  /// Removes what is left of restores that nobody knows any more.
  func dropUnknownRestores() async {
    let engine = engine
    let left = (try? await blocking { engine.unfinishedRestores() }) ?? []
    for id in left where control.view.with({ $0[id]?.record.state }) != .restoring {
      try? await blocking { try engine.abandonRestore(of: id) }
    }
  }
}
