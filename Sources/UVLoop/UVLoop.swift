// One libuv loop on a thread of its own, which is also the executor of the actors that own its handles.
//
// An actor says `nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }` and then
// makes timers and sockets as ordinary state: its methods run on the loop's thread, and so do the handles' callbacks,
// which are closures of that actor. A job goes into a locked array; the first one wakes the loop. Nothing that blocks
// may run here: no disk, no SQLite, no long computation (`metrics` shows who did).
//
// `stop` closes every handle, runs every callback and every job, joins the thread. Actors may outlive it: what they do
// afterwards runs, one job at a time, on the thread that asked, and their handles answer that they are closed.

internal import CLibuv
internal import Glibc
internal import Synchronization
internal import Threads

package final class UVLoop: SerialExecutor {
  private enum Work {
    case job(UnownedJob)
    case taskJob(UnownedJob, UVTaskExecutor)
    case call(@Sendable () -> Void)
  }

  private enum Phase { case starting, running, stopping, ended }

  private struct Inbox {
    var phase = Phase.starting
    var work: [Work] = []
    var core: LoopCore?
    var wake: UVWake?
    /// After the end: some thread is working off what came late.
    var lateRunner = false
  }

  package let metrics = LoopMetrics()
  private let inbox = Lock(Inbox())
  private let thread = Lock<Thread?>(nil)
  /// The thread that runs jobs at this moment; 0 when none does.
  private let owner = Atomic<UInt>(0)

  /// `slowLimit`: callbacks that take longer are counted. `probeInterval`: how often the loop measures its own lag.
  package init(
    name: String = "uv-loop", slowLimit: Duration = .milliseconds(5), probeInterval: Duration = .milliseconds(100)
  ) {
    let started = Thread(name: name) { [self] in run(slowLimit, probeInterval) }
    thread.with { $0 = started }
    inbox.wait(until: { $0.phase != .starting }) { _ in }
  }

  deinit { assert(inbox.with { $0.phase == .ended }, "a loop is stopped before it goes") }

  /// Nanoseconds of CLOCK_BOOTTIME, which counts on while the machine sleeps.
  package static func bootNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// The wall clock, which may be set back.
  package static func unixMicroseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }

  package var isCurrent: Bool { owner.load(ordering: .relaxed) == UInt(pthread_self()) }

  /// Runs `body` on the loop, in the order of the calls.
  package func submit(_ body: @escaping @Sendable () -> Void) { add(.call(body)) }

  package func enqueue(_ job: consuming ExecutorJob) { add(.job(UnownedJob(job))) }

  func enqueue(_ job: consuming ExecutorJob, of executor: UVTaskExecutor) { add(.taskJob(UnownedJob(job), executor)) }

  package func checkIsolated() { assertCurrent() }

  func assertCurrent() { precondition(isCurrent, "a handle is used on its loop only") }

  /// Closes everything and waits for the thread. From any thread but the loop's; a second call waits for the first.
  package func stop() {
    precondition(!isCurrent, "a loop is stopped from outside")
    inbox.with { state in
      guard state.phase == .running else { return }
      state.phase = .stopping
      state.wake?.send()
    }
    if let mine = thread.with({ $0.take() }) { mine.join() }
    inbox.wait(until: { $0.phase == .ended }) { _ in }
  }

  /// Of the loop's own thread; handles reach it while they are made.
  func openCore() throws(UVError) -> LoopCore {
    assertCurrent()
    guard let core = inbox.with({ $0.core }), !core.isStopping else { throw .closed("open") }
    return core
  }

  /// The runtime lends the executor without a reference, and the job may drop the last one: a late job is run right here.
  private func add(_ work: Work) {
    let kept = Unmanaged.passRetained(self)
    defer { kept.release() }
    let runHere = inbox.with { state in
      state.work.append(work)
      guard state.phase == .ended else {
        if state.work.count == 1 { announce(state) }
        return false
      }
      defer { state.lateRunner = true }
      return !state.lateRunner
    }
    if runHere { runLate() }
  }

  /// What a callback brings about itself is done at its end, once: what follows from that waits for the next turn, so
  /// that sockets are not starved.
  private func announce(_ state: Inbox) {
    if isCurrent, let core = state.core, core.isCalling, state.phase == .running {
      core.later { self.runWork() }
    } else {
      state.wake?.send()
    }
  }

  private func runLate() {
    let before = owner.exchange(UInt(pthread_self()), ordering: .acquiring)
    while true {
      runWork()
      let done = inbox.with { state in
        guard state.work.isEmpty else { return false }
        owner.store(before, ordering: .releasing)
        state.lateRunner = false
        return true
      }
      if done { return }
    }
  }

  /// One batch: what arrives meanwhile waits for the next turn, so that sockets are not starved.
  private func runWork() {
    let batch = inbox.with { state in
      defer { state.work = [] }
      return state.work
    }
    guard !batch.isEmpty else { return }
    let core = inbox.with { $0.core }
    if let core { core.call { run(batch, core.measure) } } else { run(batch) { $0() } }
    metrics.note(jobs: batch.count)
  }

  private func run(_ batch: [Work], _ measured: (() -> Void) -> Void) {
    for work in batch {
      measured {
        switch work {
        case .job(let job): job.runSynchronously(on: self.asUnownedSerialExecutor())
        case .taskJob(let job, let executor): job.runSynchronously(on: executor.asUnownedTaskExecutor())
        case .call(let body): body()
        }
      }
    }
  }

  private func run(_ slowLimit: Duration, _ probeInterval: Duration) {
    owner.store(UInt(pthread_self()), ordering: .releasing)
    // libuv writes with write(2): a peer that is gone must cost an error, not the process.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    let core = LoopCore(metrics: metrics, slowLimit: slowLimit)
    inbox.with { $0.core = core }
    open(probeInterval)
    while inbox.with({ $0.phase == .running }) { _ = core.turn(waiting: true) }
    runWork()
    inbox.with { $0.wake = nil }
    core.closeAll()
    while core.turn(waiting: false) { runWork() }
    runWork()
    core.finish()
    inbox.with { state in
      state.core = nil
      state.phase = .ended
      state.lateRunner = true
    }
    owner.store(0, ordering: .releasing)
    runLate()
    inbox.wake()
  }

  private func open(_ probeInterval: Duration) {
    do {
      let wake = try UVWake(on: self) { [unowned self] in runWork() }
      let probe = try UVTimer(on: self) { [metrics] late in metrics.note(lag: UInt64(clamping: late.nanoseconds)) }
      probe.start(after: probeInterval, every: probeInterval)
      inbox.with { state in
        state.wake = wake
        state.phase = .running
        // What came before the wake existed would wait for the next call.
        if !state.work.isEmpty { wake.send() }
      }
    } catch {
      preconditionFailure("libuv: \(error)")
    }
    inbox.wake()
  }
}
