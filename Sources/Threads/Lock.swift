// A lock and a condition on pthreads.
//
// Not `Synchronization.Mutex`: the thread sanitizer does not see that one and warns of races that are none.

public import Glibc

/// Protects `State`. Not recursive; never held across a system call that may block for long.
public final class Lock<State>: @unchecked Sendable {
  // Invariant: `state` is touched only between lock and unlock of `mutex`, whose address never changes.
  @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  @usableFromInline var state: State

  public init(_ state: sending State) {
    self.state = state
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    precondition(pthread_mutex_init(mutex, nil) == 0)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    precondition(pthread_cond_init(condition, &attributes) == 0)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    pthread_cond_destroy(condition)
    mutex.deallocate()
    condition.deallocate()
  }

  @inlinable public func with<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&state)
  }

  /// Waits until `ready` is true, then runs `body` under the same lock. Woken by `wake`.
  public func wait<R>(until ready: (State) -> Bool, _ body: (inout State) -> R) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while !ready(state) { pthread_cond_wait(condition, mutex) }
    return body(&state)
  }

  /// As `wait`, but gives nil when `timeout` has passed and `ready` is still false.
  public func wait<R>(for timeout: Duration, until ready: (State) -> Bool, _ body: (inout State) -> R) -> R? {
    var deadline = timespec()
    clock_gettime(CLOCK_MONOTONIC, &deadline)
    let (seconds, attoseconds) = timeout.components
    let nanoseconds = deadline.tv_nsec + Int(attoseconds / 1_000_000_000)
    deadline.tv_sec += Int(seconds) + nanoseconds / 1_000_000_000
    deadline.tv_nsec = nanoseconds % 1_000_000_000
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while !ready(state) {
      if pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT { return ready(state) ? body(&state) : nil }
    }
    return body(&state)
  }

  /// Wakes every waiter; each checks its condition again.
  public func wake() { pthread_cond_broadcast(condition) }
  /// Wakes one waiter; for states in which any one waiter can take what has arrived.
  public func wakeOne() { pthread_cond_signal(condition) }
}
