// A named operating-system thread, for C code that blocks: syncs, SQLite, compression. It is joined, never detached.

import Glibc

/// How far a thread leaves the processor to others.
public enum ThreadPriority: Sendable, Equatable {
  case normal
  /// setpriority(2), from 1 to 19; on Linux it counts for one thread.
  case nice(Int)
  /// SCHED_IDLE of sched(7): whoever wakes and is not idle runs at once. On a processor that is never idle some thousandths
  /// are left to it. Its work calls `IdlePause.take`.
  case idle

  /// For the thread that calls it.
  fileprivate func take() {
    switch self {
    case .normal: break
    case .nice(let niceness): setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Int32(niceness))
    case .idle:
      var none = sched_param()
      // Of the calling thread. A kernel that refuses it leaves the thread as it is: slower for others, not wrong.
      sched_setscheduler(0, schedIdle, &none)
      IdlePause.begin()
    }
  }
}

public final class Thread: @unchecked Sendable {
  // Invariant: `handle` is written before `init` returns and read by `join`, which one owner calls once.
  private var handle = pthread_t()

  private final class Start {
    let name: String
    let priority: ThreadPriority
    let body: @Sendable () -> Void
    init(_ name: String, _ priority: ThreadPriority, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.priority = priority
      self.body = body
    }
  }

  /// Starts at once. `name` shows in the process list, cut to 15 bytes.
  public init(
    name: String, stackBytes: Int = 2 << 20, priority: ThreadPriority = .normal, _ body: @escaping @Sendable () -> Void
  ) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, stackBytes)
    let start = Unmanaged.passRetained(Start(name, priority, body))
    let result = pthread_create(
      &handle, &attributes,
      { raw in
        let start = Unmanaged<Start>.fromOpaque(raw!).takeRetainedValue()
        nameThisThread(start.name)
        start.priority.take()
        start.body()
        return nil
      }, start.toOpaque())
    precondition(result == 0, "cannot start a thread: \(result)")
    pthread_attr_destroy(&attributes)
  }

  /// Waits for the body to return.
  public func join() { pthread_join(handle, nil) }
}

// linux/sched.h's SCHED_IDLE, a GNU extension that the Glibc module does not show.
private let schedIdle: Int32 = 5

// pthread_setname_np is a GNU extension that the Glibc module does not show.
private func nameThisThread(_ name: String) {
  let file = open("/proc/thread-self/comm", O_WRONLY)
  guard file >= 0 else { return }
  _ = name.withCString { write(file, $0, min(strlen($0), 15)) }
  close(file)
}
