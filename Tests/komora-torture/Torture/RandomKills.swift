// Kills a loaded process at moments that nobody chose, again and again on the same directory, and checks each time that
// everything it had acknowledged is there.

import Base
import Disk
import Glibc
import ShardStore
import Threads

package struct RandomKills: Sendable {
  package var kills: Int
  package var seed: UInt64
  /// Writes a second, whether they are answered or not; nil for twice as many as this machine answers, so that the
  /// queues are never empty when the kill comes.
  package var rate: Int?
  /// Kills after which a new directory begins.
  package var killsPerDirectory = 12
  package var hitsWanted: Int
  package var keep = false

  package init(kills: Int, seed: UInt64) {
    self.kills = kills
    self.seed = seed
    hitsWanted = min(10, max(1, kills / 12))
  }

  package struct Outcome: Sendable {
    package var passed = 0
    package var failed = 0
    var hits: [String: Int] = [:]
    var submitted = 0
    var inFlight = 0
    var acknowledged = 0
    var killsBeforeReady = 0
    var shares: [Double] = []
    var seen = Recovery.Seen()
    var refusals: [String: Int] = [:]
  }

  package func run() async -> Outcome {
    var outcome = Outcome()
    var random = SeededGenerator(seed: seed)
    let rate = rate ?? capacity() * 2
    Child.tell("\(rate) writes a second")
    var directory = Folder.make(below: Folder.slow)
    var ledger = Ledger()
    for kill in 0..<kills {
      if kill % killsPerDirectory == 0 {
        Folder.remove(directory)
        directory = Folder.make(below: Folder.slow)
        ledger = Ledger()
      }
      let target = wantedPhase(kill, outcome)
      oneKill(directory, number: kill, rate: rate, target: target, &ledger, &random, &outcome)
      var recovery = Recovery(directory, OpenLoad.configuration(directory), ledger)
      recovery.mark = 2_000_000_000 + kill
      recovery.snapshotsMax = 2
      recovery.removesCopies = true
      await recovery.check()
      ledger = recovery.ledger
      outcome.seen += recovery.seen
      if recovery.problems.isEmpty {
        outcome.passed += 1
      } else {
        outcome.failed += 1
        for problem in recovery.problems.prefix(8) { Child.tell("kill \(kill): FAILED: \(problem)") }
        if keep { Child.tell("kept in \(directory)"); return outcome }
        Folder.remove(directory)
        directory = Folder.make(below: Folder.slow)
        ledger = Ledger()
      }
    }
    Folder.remove(directory)
    judge(&outcome)
    return outcome
  }

  /// Half of the kills wait for a phase that was hit too rarely so far.
  private func wantedPhase(_ kill: Int, _ outcome: Outcome) -> SharedPage.Counter? {
    let rare = SharedPage.Counter.phases.min { (outcome.hits[$0.name] ?? 0) < (outcome.hits[$1.name] ?? 0) }!
    return kill % 2 == 1 || (outcome.hits[rare.name] ?? 0) >= hitsWanted * 2 ? nil : rare
  }

  /// Writes a second that a process answers when it gets more than it can.
  private func capacity() -> Int {
    let directory = Folder.make(below: Folder.slow)
    let pagePath = "\(directory).page"
    let page = SharedPage(pagePath, making: true)
    defer {
      unlink(pagePath)
      Folder.remove(directory)
    }
    let child = ChildProcess(["load-child", directory, pagePath, "1", "150000", "-"])
    let reader = Thread(name: "reader") { _ = child.readAll() }
    while page[.ready] == 0 { sleep(microseconds: 1_000) }
    sleep(microseconds: 300_000)
    let before = page[.answered]
    sleep(microseconds: 500_000)
    let answered = page[.answered] - before
    kill(child.id, SIGKILL)
    reader.join()
    _ = child.wait()
    return max(5_000, answered * 2)
  }

  private func oneKill(
    _ directory: String, number: Int, rate: Int, target: SharedPage.Counter?, _ ledger: inout Ledger,
    _ random: inout SeededGenerator, _ outcome: inout Outcome
  ) {
    let pagePath = "\(directory).page"
    let page = SharedPage(pagePath, making: true)
    defer { unlink(pagePath) }
    let known = ledger.accounts.filter { $0 <= OpenLoad.accounts }.map(String.init).joined(separator: ",")
    let child = ChildProcess([
      "load-child", directory, pagePath, String(number * 1_000_000 + 1), String(rate), known.isEmpty ? "-" : known,
    ])
    let output = Lock<[UInt8]>([])
    let reader = Thread(name: "reader") {
      let bytes = child.readAll()
      output.with { $0 = bytes }
    }
    wait(page, target, &random)
    kill(child.id, SIGKILL)
    reader.join()
    let ending = child.wait()
    let active = SharedPage.Counter.phases.filter { page[$0] > 0 }
    for phase in active { outcome.hits[phase.name, default: 0] += 1 }
    let (submitted, answered) = (page[.submitted], page[.answered])
    outcome.submitted += submitted
    outcome.inFlight += submitted - answered
    outcome.acknowledged += page[.acknowledged]
    if submitted > 100 { outcome.shares.append(Double(submitted - answered) / Double(submitted)) }
    if page[.ready] == 0 { outcome.killsBeforeReady += 1 }
    let before = ledger.refusals
    let bytes = output.with { $0 }
    for line in bytes.split(separator: UInt8(ascii: "\n")) { ledger.note(String(decoding: line, as: UTF8.self)) }
    // The last line is whole or not there: each is one write, shorter than a pipe's atomic size.
    for (code, count) in ledger.refusals { outcome.refusals[code, default: 0] += count - (before[code] ?? 0) }
    if ending != .signalled(SIGKILL) { ledger.problems.append("the process ended by itself: \(ending)") }
  }

  /// Until the moment of the kill: any, or soon after the wanted phase has begun.
  private func wait(_ page: SharedPage, _ target: SharedPage.Counter?, _ random: inout SeededGenerator) {
    let clock = SystemClock()
    let start = clock.monotonicNanoseconds()
    func elapsed() -> Int { Int((clock.monotonicNanoseconds() - start) / 1_000) }
    // Some die while they start; the others have some time to build up a queue.
    if random.oneIn(12) { return sleep(microseconds: random.below(60_000)) }
    while page[.ready] == 0, elapsed() < 20_000_000 { sleep(microseconds: 200) }
    sleep(microseconds: 30_000 + random.below(450_000))
    guard let target else { return }
    let limit = elapsed() + 3_000_000
    while page[target] == 0, elapsed() < limit {}
    if random.oneIn(2) { sleep(microseconds: random.below(300)) }
  }

  private func sleep(microseconds: Int) { usleep(UInt32(microseconds)) }

  private func judge(_ outcome: inout Outcome) {
    let share = outcome.submitted == 0 ? 0 : Double(outcome.inFlight) / Double(outcome.submitted)
    let sorted = outcome.shares.sorted()
    let median = sorted.isEmpty ? 0 : sorted[sorted.count / 2]
    Child.tell("kills \(kills), of them \(outcome.killsBeforeReady) while the process was starting")
    Child.tell(
      "writes submitted \(outcome.submitted), acknowledged \(outcome.acknowledged), in flight at the kill "
        + "\(outcome.inFlight) = \(Int(share * 100)) % (median of the kills \(Int(median * 100)) %)")
    for phase in SharedPage.Counter.phases {
      let hits = outcome.hits[phase.name] ?? 0
      Child.tell("hits in \(phase.name): \(hits)")
      if hits < hitsWanted {
        outcome.failed += 1
        Child.tell("FAILED: fewer than \(hitsWanted) kills in \(phase.name)")
      }
    }
    if share < 0.3 {
      outcome.failed += 1
      Child.tell("FAILED: fewer than 30 % of the writes were in flight")
    }
    let seen = outcome.seen
    Child.tell(
      "compared \(seen.transactions) transactions, \(seen.recordings) recordings, \(seen.snapshots) restored "
        + "snapshots, \(seen.files) files verified, \(seen.mendable) remnants")
    let answers = outcome.refusals.filter { $0.value > 0 }.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    Child.tell("answers other than yes: \(answers.joined(separator: ", "))")
  }
}
