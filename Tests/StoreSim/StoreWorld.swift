// One engine without threads on a forgetful disk, and everything around it: clients, clock, faults and the oracle.
//
// The seed decides every order: which queued turn runs, when the log is written, where the disk fails, where the
// machine stops. Steps also happen inside others, at the disk operations at which the live engine's threads would meet. The
// world never looks at what the engine was told to do wrong; it sees replies, reads and the disk's bytes.

import Base
import Disk
import Formats
package import ShardStore
import Simulator

package final class StoreWorld: @unchecked Sendable {
  // Invariant: one thread drives the world and everything that it calls.
  typealias Job = @Sendable () -> Void

  enum Step: String {
    case submit, turn, flush, split, checkpoint, read, close, pin, upload, session, collect, clock, fault, other
  }

  let configuration: EngineConfiguration
  var random: SeededGenerator
  let clock = StepClock()
  let executor = StepExecutor()
  var disk: ForgetfulDisk
  var engine: Engine?
  var turns: [Job] = []
  var reads: [Job] = []
  var accounts: [SimulatedAccount]
  var indexes = IndexChecker()
  package var totals = Totals()
  package private(set) var violation: Violation?
  /// What happened, for whoever reads a red seed.
  package private(set) var trace: [String] = []

  var life = 0
  var stop: StopPlan?
  var step = Step.other
  /// Greater than 0 inside a step that runs within another's disk operation.
  var depth = 0
  var isCheckpointing = false
  /// The account whose pending records were dropped a moment ago.
  var dropped: SimulatedAccount?
  var armed: (fault: InjectedFault, failures: Int)?
  var logFiles: Set<String> = []

  package init(seed: UInt64, bugs: PlantedBugs) {
    var random = SeededGenerator(seed: seed)
    var configuration = EngineConfiguration(directory: "/node", node: NodeID(bits: 1))
    configuration.logFileBytes = [16, 32, 64, 128][random.below(4)] << 10
    configuration.logFilesMax = 3 + random.below(4)
    configuration.logGroupBytes = [8 << 10, 32 << 10, 4 << 20][random.below(3)]
    configuration.recordPages = [2, 4, 16, 512][random.below(4)]
    configuration.directLog = false
    configuration.segmentBytes = [8, 32, 128][random.below(3)] << 10
    configuration.volumeBytes = 256 << 10
    configuration.batchMax = 1 + random.below(8)
    configuration.pendingBatchesMax = 1 + random.below(4)
    configuration.checkpointVersions = 10 + random.below(150)
    configuration.checkpointBatchPages = 1 + random.below(6)
    configuration.idleClose = .seconds(1)
    configuration.sessionLockWait = .seconds(1_000_000)
    configuration.sessionLockHold = .seconds(1_000_000)
    configuration.plantedBugs = bugs
    self.configuration = configuration
    disk = ForgetfulDisk(seed: random.next())
    accounts = (0..<(2 + random.below(2))).map { SimulatedAccount(AccountID(bits: UInt128($0 + 1) << 64 | 0xACC0)) }
    self.random = random
    note(
      "log files of \(configuration.logFileBytes >> 10) KiB, at most \(configuration.logFilesMax); "
        + "\(configuration.recordPages) pages a record, \(configuration.pendingBatchesMax) batches pending, "
        + "checkpoint after \(configuration.checkpointVersions) versions")
  }

  var isOver: Bool { disk.isDead || violation != nil }

  func note(_ line: String) {
    trace.append("\(life)  \(String(repeating: "  ", count: depth))\(line)")
    if trace.count > 4_000 { trace.removeFirst(2_000) }
  }

  func report(_ error: any Error) {
    guard violation == nil else { return }
    violation = error as? Violation ?? Violation(checker: "world", message: "\(error)")
    note("VIOLATION \(violation!)")
  }

  /// Notes an error that a caller got; damage is a violation, anything else is the engine's right while a fault lasts.
  func heard(_ error: any Error, _ place: String) {
    guard !disk.isDead else { return }
    note("\(place) failed: \(error)")
    do { try DamageChecker.check(error, place) } catch { report(error) }
  }

  // MARK: the engine's jobs

  func makeEngine() throws -> Engine {
    let observed = ObservedDisk(disk) { [unowned self] path, bytes in self.witness(path, bytes) }
    disk.onOperation { [unowned self] operation in self.decide(operation) }
    return try Engine.manual(
      configuration, disk: observed, kek: FixedKey(), clock: clock,
      runTurn: { [unowned self] in self.turns.append($0) },
      runRead: { [unowned self] in self.reads.append($0) })
  }

  func runTurn() {
    guard !turns.isEmpty else { return }
    turns.remove(at: random.below(turns.count))()
  }

  /// Lets tasks go on, and what they read, until all wait for something else.
  func pump() {
    while true {
      if executor.runOne() { continue }
      guard !reads.isEmpty else { return }
      reads.removeFirst()()
    }
  }

  func task(_ body: @escaping @Sendable () async -> Void) {
    Task(executorPreference: executor) { await body() }
    pump()
  }

  private func witness(_ path: String, _ bytes: [UInt8]) {
    if disk.isDead { return }
    if bytes.starts(with: "KLOG".utf8) {
      if !logFiles.insert(path).inserted { totals.note("log file used again") }
      return
    }
    let records = LogImage.records(inGroup: bytes)
    note("log: \(LogImage.list(records))")
    if records.contains(where: \.continues) { totals.note("record continued") }
    do { try indexes.note(records) } catch { report(error) }
  }
}
