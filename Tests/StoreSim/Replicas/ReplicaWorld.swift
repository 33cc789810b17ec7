// Three engines with one account, and a replication that is right by being simple: it knows every log. The subject is the
// store below it: what three disks that forget make of records that are stored, cut, published and flushed in any order,
// with crashes inside any operation.
//
// A write set is any two nodes. The leader of an epoch is the live node whose durable log reaches farthest.

import Base
import Disk
import Formats
import SQLite
package import ShardStore
import Simulator

package final class ReplicaWorld: @unchecked Sendable {
  // Invariant: one thread drives the world and everything that it calls.
  let account = AccountID(bits: 1 << 64 | 0xACC0)
  var random: SeededGenerator
  let clock = StepClock()
  var nodes: [ReplicaNode] = []
  var configuration: EngineConfiguration
  var leader: Int?
  var epoch: Epoch = 0
  /// Of every record ever made.
  var records: [Position: SealedRecord] = [:]
  /// The log that is committed, by index from 1.
  var committed: [Position] = []
  var isWhole: [Bool] = []
  var nextKey: Int64 = 1
  var acknowledged: Set<Int64> = []
  var refused: Set<Int64> = []
  /// Rows that somebody saw at a published index.
  var shown: [LogIndex: [Int64]] = [:]
  var cuts = 0
  var promotions = 0
  package private(set) var violation: Violation?
  package private(set) var trace: [String] = []
  package var totals = Totals()

  package init(seed: UInt64, bugs: PlantedBugs) {
    var random = SeededGenerator(seed: seed)
    configuration = EngineConfiguration(directory: "/node", node: NodeID(bits: 1))
    configuration.logFileBytes = [16, 32, 64][random.below(3)] << 10
    configuration.logFilesMax = 3 + random.below(4)
    configuration.logGroupBytes = [8 << 10, 32 << 10][random.below(2)]
    configuration.recordPages = [1, 2, 4, 512][random.below(4)]
    configuration.directLog = false
    configuration.segmentBytes = [4, 16, 64][random.below(3)] << 10
    configuration.checkpointVersions = 10 + random.below(60)
    configuration.checkpointBatchPages = 1 + random.below(6)
    configuration.isReplicated = true
    configuration.plantedBugs = bugs
    for number in 0..<3 { nodes.append(ReplicaNode(number, disk: ForgetfulDisk(seed: random.next()))) }
    self.random = random
  }

  func note(_ line: String) { trace.append(line) }
  func report(_ checker: String, _ message: String) {
    if violation == nil {
      violation = Violation(checker: checker, message: message)
      note("VIOLATION \(checker): \(message)")
    }
  }

  // MARK: the run

  package func run() {
    guard begin() else { return }
    let steps = 150 + random.below(400)
    for _ in 0..<steps where violation == nil { step() }
    if violation == nil { heal() }
    for node in nodes { node.engine = nil }
  }

  /// All nodes get the same empty account: the first one's directory, as a base would bring it.
  private func begin() -> Bool {
    do {
      let first = nodes[0]
      first.engine = try open(first)
      try first.engine!.createAccountNow(account)
      let image = try first.engine!.emptyBaseNow(account)
      for node in nodes.dropFirst() {
        node.engine = try open(node)
        let builder = try node.engine!.beginBaseNow(account)
        try builder.takeNow(image)
        _ = try builder.finishNow()
      }
      elect()
      return violation == nil
    } catch {
      report("beginning", "\(error)")
      return false
    }
  }

  func open(_ node: ReplicaNode) throws -> Engine {
    var own = configuration
    own.node = NodeID(bits: UInt128(node.number + 1))
    let engine = try Engine.manual(
      own, disk: node.disk, kek: FixedKey(), clock: clock, runTurn: { node.jobs.append($0) },
      runRead: { node.jobs.append($0) })
    engine.setSink(node)
    return engine
  }

  private func step() {
    clock.advance(microseconds: Int64(1 + random.below(5_000)))
    let node = nodes[random.below(3)]
    switch random.below(100) {
    case 0..<22: write()
    case 22..<45: runJob(node)
    case 45..<60: if node.isUp { flush(node) }
    case 60..<76: deliver(to: node)
    case 76..<86: commit()
    case 86..<91:
      if node.isUp { attempt(node, "checkpoint") { _ = $0.stepCheckpoint(account, force: random.oneIn(4)) } }
    case 91..<93: if node.isUp { attempt(node, "split") { $0.splitLog(all: random.oneIn(2)) } }
    case 93..<94: if node.isUp { attempt(node, "close") { _ = $0.closeIdle(account) } }
    case 94..<96: if leader == nil || random.oneIn(3) { elect() }
    case 96..<97: arm(node)
    case 97..<98: if random.oneIn(2) { read(node) } else { rivals() }
    default: if node.isUp { crash(node) } else { revive(node) }
    }
    takeNotes()
    for node in nodes where node.engine != nil && node.disk.isDead { crash(node) }
  }

  /// Runs one thing on a node; the machine may stop in its middle.
  func attempt(_ node: ReplicaNode, _ what: String, _ body: (Engine) throws -> Void) {
    guard let engine = node.engine else { return }
    do { try body(engine) } catch {
      if !node.disk.isDead, (error as? StoreError)?.code == .damaged { report(what, "node \(node.number): \(error)") }
    }
    takeNotes()
  }

  /// Makes the machine stop inside one of the next operations of its disk, or a sync fail.
  private func arm(_ node: ReplicaNode) {
    guard node.isUp, node.stopAfter == nil else { return }
    if random.oneIn(4) {
      note("a sync of node \(node.number) will fail")
      node.disk.fail(.sync, nth: 1 + random.below(3)) { $0.hasSuffix(".klog") }
      return
    }
    stopSoon(node)
  }

  private func stopSoon(_ node: ReplicaNode) {
    guard node.isUp, node.stopAfter == nil else { return }
    let moment = DiskFault.Moment.allCases[random.below(3)]
    node.stopAfter = 1 + random.below(25)
    node.disk.onOperation { operation in
      guard operation.kind != .read, let left = node.stopAfter else { return .proceed }
      node.stopAfter = left - 1
      return left == 1 ? .stop(moment) : .proceed
    }
  }

  // MARK: what the nodes tell

  func takeNotes() {
    for node in nodes {
      while !node.notes.isEmpty {
        switch node.notes.removeFirst() {
        case .appended(let new): appended(node, new)
        case .synced(let position): synced(node, position)
        case .failed(let end): failed(node, end)
        }
      }
    }
  }

  private func appended(_ node: ReplicaNode, _ new: [SealedRecord]) {
    for record in new {
      let header = record.header
      guard header.index == node.end.index + 1, header.previous == node.end.checksum else {
        return report("order", "node \(node.number) appends \(record.position) behind \(node.end)")
      }
      if let other = records.keys.first(where: { $0.epoch == header.epoch && $0.index == header.index }),
        other != record.position
      {
        report("names", "\(record.position) names two records")
      }
      records[record.position] = record
      node.log.append(record.position)
    }
    node.matched = node.end.index
  }

  private func synced(_ node: ReplicaNode, _ position: Position) {
    guard position.index <= node.end.index, node.log[Int(position.index) - 1] == position else {
      return report("synced", "node \(node.number) has synced \(position), which is not in its log")
    }
    node.durable = max(node.durable, position.index)
    node.reached = max(node.reached, LogPlace(epoch: position.epoch, index: position.index))
  }

  private func failed(_ node: ReplicaNode, _ end: Position) {
    note("node \(node.number) failed a write: its log ends at \(end)")
    totals.note("failed write of a replica")
    guard end.index >= node.durable, end.index <= node.end.index else {
      return report("failed", "node \(node.number) ends at \(end) after a failure, \(node.durable) was durable")
    }
    node.log.removeLast(node.log.count - Int(end.index))
    node.matched = min(node.matched, end.index)
    if leader == node.number { leader = nil }
  }

  // MARK: clients

  func write() {
    guard let leader, nodes[leader].isUp else { return }
    let key = nextKey
    nextKey += 1
    let size = random.oneIn(8) ? 20_000 : 40 + random.below(400)
    attempt(nodes[leader], "write") { engine in
      engine.submit(account) { connection in
        try connection.execute("CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v BLOB)")
        try connection.execute(
          "INSERT INTO t VALUES (?, ?)", .integer(key), .blob([UInt8](repeating: UInt8(key & 255), count: size)))
      } _: { [unowned self] result in
        switch result {
        case .success: self.acknowledged.insert(key)
        case .failure(let error):
          if let code = (error as? StoreError)?.code, code == .notApplied || code == .moved { self.refused.insert(key) }
        }
      }
    }
  }

  func runJob(_ node: ReplicaNode) {
    guard !node.jobs.isEmpty else { return }
    let job = node.jobs.remove(at: random.below(min(node.jobs.count, 2)))
    job()
    takeNotes()
  }

  func flush(_ node: ReplicaNode) {
    _ = node.engine?.flushLog()
    takeNotes()
  }

  // MARK: replication

  /// How far two logs are the same.
  func common(_ a: [Position], _ b: [Position]) -> Int {
    var count = min(a.count, b.count)
    while count > 0, a[count - 1] != b[count - 1] { count -= 1 }
    return count
  }

  func deliver(to node: ReplicaNode, all: Bool = false) {
    guard let leader, leader != node.number, nodes[leader].isUp, node.isUp else { return }
    let source = nodes[leader].log
    let same = common(source, node.log)
    if same < node.log.count {
      guard same >= min(Int(node.told), committed.count) else {
        return report("cutting", "node \(node.number) would be cut at \(same), \(node.told) was published")
      }
      let place = same == 0 ? .start : source[same - 1]
      note("node \(node.number) is cut after \(place)")
      var isDone = false
      attempt(node, "cut") { engine in
        try engine.cutNow(account, after: place)
        isDone = true
      }
      guard isDone, node.isUp else { return }
      cuts += 1
      totals.note("tail in quarantine")
      node.log.removeLast(node.log.count - same)
      node.durable = min(node.durable, UInt64(same))
      if random.oneIn(2) { stopSoon(node) }
    }
    let count = all ? source.count - same : min(source.count - same, 1 + random.below(6))
    guard count > 0 else {
      node.matched = UInt64(same)
      return
    }
    let part = source[same..<(same + count)]
    attempt(node, "store") { $0.store(account, part.map { records[$0]! }) }
    guard node.isUp else { return }
    node.log += part
    node.matched = UInt64(same + count)
  }

  /// What two nodes have durably, from the epoch's first record on, is committed.
  func commit() {
    guard let leader, nodes[leader].isUp else { return }
    let log = nodes[leader].log
    func holds(_ node: ReplicaNode, _ index: Int) -> Bool {
      node.isUp && node.durable >= UInt64(index) && node.log.count >= index && node.log[index - 1] == log[index - 1]
    }
    var index = log.count
    while index > committed.count, nodes.filter({ holds($0, index) }).count < 2 || log[index - 1].epoch != epoch {
      index -= 1
    }
    if index > committed.count {
      guard Array(log.prefix(committed.count)) == committed else {
        return report("leader", "node \(leader) leads epoch \(epoch) without what was committed")
      }
      committed = Array(log.prefix(index))
    }
    for node in nodes where node.isUp && random.oneIn(2) || node.number == leader && node.isUp { publish(on: node) }
  }

  func publish(on node: ReplicaNode) {
    let index = min(committed.count, common(committed, node.log), Int(node.durable))
    guard index > 0, UInt64(index) > node.told else { return }
    let whole = (1...index).last { !records[committed[$0 - 1]]!.header.continues }
    guard let whole else { return }
    node.told = max(node.told, UInt64(whole))
    attempt(node, "publish") { $0.publish(account, upTo: committed[whole - 1]) }
  }

  /// The epoch is over for whoever led; the best of at least two nodes leads the next.
  func elect() {
    let up = nodes.filter(\.isUp)
    if let leader, nodes[leader].isUp { attempt(nodes[leader], "stop") { $0.stopLeading(account) } }
    leader = nil
    guard up.count >= 2 else { return }
    // As voters report: never less than before, whatever a cut took away.
    let best = up.max { $0.reached < $1.reached }!
    // What was handed and is not durable may still become so: the leader's log is all of it.
    epoch += 1
    note("node \(best.number) is to lead epoch \(epoch), its log ends at \(best.end), durable \(best.durable)")
    best.outcome = nil
    best.engine!.leadNow(account, epoch: epoch) { best.outcome = .some($0) }
    for _ in 0..<1000 where best.outcome == nil && best.isUp { runJob(best) }
    takeNotes()
    guard best.isUp, case .some(.none) = best.outcome else {
      return note("it does not: \(String(describing: best.outcome))")
    }
    leader = best.number
    promotions += 1
    totals.note("promotion of a replica")
  }
}
