// The threads of a live engine: writers' turns, readers, one for the log, one for maintenance.

import Base
import Threads

final class EngineThreads: Sendable {
  let writers: WorkPool
  let readers: WorkPool
  private let owned = Lock<[Thread]>([])
  private let stopping = Lock(false)
  private let period: Duration
  private let gatherTime: Duration
  /// Records in a group beyond which another one saves little.
  private static let gatherRecords = 32

  init(_ configuration: EngineConfiguration) {
    writers = WorkPool(name: "write", threads: configuration.writerThreads)
    readers = WorkPool(name: "read", threads: configuration.readerThreads)
    period = configuration.maintenancePeriod
    gatherTime = configuration.logGatherTime
  }

  func start(_ engine: Engine) {
    let log = engine.log
    let (writers, gatherTime) = (writers, gatherTime)
    let flusher = Thread(name: "log") {
      while log.waitForWork() {
        // Turns that wait for a thread will soon want a sync too; sharing one leaves the processor to them.
        if writers.hasBacklog { log.gather(Self.gatherRecords, for: gatherTime) }
        log.flushGroup()
      }
    }
    let (stopping, period) = (stopping, period)
    let keeper = Thread(name: "maintain") { [weak engine] in
      while stopping.wait(for: period, until: { $0 }, { $0 }) == nil { engine?.maintain { stopping.with { $0 } } }
    }
    owned.with { $0 = [flusher, keeper] }
    self.log.with { $0 = log }
  }

  private let log = Lock<CommitLog?>(nil)

  /// Ends the pools after what they have queued, then the log after what it has, then maintenance.
  func stop() {
    stopping.with { $0 = true }
    stopping.wake()
    writers.stop()
    readers.stop()
    log.with { $0 }?.beginClosing()
    for thread in owned.with({ $0 }) { thread.join() }
    owned.with { $0 = [] }
  }

  /// For an engine that goes without having been closed, as when an error unwinds past it. Who let it go may be one of these
  /// threads, so another one waits for them.
  func letGo() {
    guard !stopping.with({ $0 }) else { return }
    _ = Thread(name: "let-go") { self.stop() }
  }

  /// For an engine that could not be opened.
  func abandon() {
    writers.stop()
    readers.stop()
  }
}
