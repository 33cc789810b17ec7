// Short sleeps of idle threads, so that they are in nobody's way.
//
// SCHED_IDLE alone is not enough: a processor that runs an idle thread does not look for others' waiting threads, as one
// without work does, and so they wait for the scheduler's tick (4 ms at 250 Hz). An idle thread that sleeps for an instant
// every 0.3 ms gives its processor the chance. Two endless loops under SCHED_IDLE beside a busy node on
// two processors: commits' p99 2.9 times as long; with these sleeps 1.1 times.

import Glibc

public enum IdlePause {
  private static let workNanoseconds: UInt64 = 300_000

  // The time of the thread's last sleep; nothing for threads that are not idle.
  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    let made = pthread_key_create(&key) { $0?.deallocate() }
    precondition(made == 0, "no key for threads' own values is left")
    return key
  }()

  /// Sleeps for an instant when the calling thread is idle and has worked for a while. Long work on such a thread calls it
  /// every tenth of a millisecond or so; other threads pay for a look at a variable.
  public static func take() {
    guard let last = pthread_getspecific(key)?.assumingMemoryBound(to: UInt64.self) else { return }
    guard now() - last.pointee >= workNanoseconds else { return }
    // Some 50 µs, as late as a thread's timers are: after shorter ones the scheduler does not look for others' work.
    var instant = timespec(tv_sec: 0, tv_nsec: 1)
    nanosleep(&instant, nil)
    last.pointee = now()
  }

  /// For a thread that becomes idle.
  static func begin() {
    let last = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
    last.initialize(to: now())
    pthread_setspecific(key, last)
  }

  private static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
