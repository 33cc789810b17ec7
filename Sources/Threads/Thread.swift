// A named operating-system thread, for C code that blocks: syncs, SQLite, compression. It is joined, never detached.

import Glibc

public final class Thread: @unchecked Sendable {
  // Invariant: `handle` is written before `init` returns and read by `join`, which one owner calls once.
  private var handle = pthread_t()

  private final class Start {
    let name: String
    let niceness: Int
    let body: @Sendable () -> Void
    init(_ name: String, _ niceness: Int, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.niceness = niceness
      self.body = body
    }
  }

  /// Starts at once. `name` shows in the process list, cut to 15 bytes. `niceness`, from 0 to 19: how far it yields the
  /// processor to threads that are less nice (setpriority(2), which on Linux counts for one thread).
  public init(name: String, stackBytes: Int = 2 << 20, niceness: Int = 0, _ body: @escaping @Sendable () -> Void) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, stackBytes)
    let start = Unmanaged.passRetained(Start(name, niceness, body))
    let result = pthread_create(
      &handle, &attributes,
      { raw in
        let start = Unmanaged<Start>.fromOpaque(raw!).takeRetainedValue()
        nameThisThread(start.name)
        if start.niceness > 0 { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Int32(start.niceness)) }
        start.body()
        return nil
      }, start.toOpaque())
    precondition(result == 0, "cannot start a thread: \(result)")
    pthread_attr_destroy(&attributes)
  }

  /// Waits for the body to return.
  public func join() { pthread_join(handle, nil) }
}

// pthread_setname_np is a GNU extension that the Glibc module does not show.
private func nameThisThread(_ name: String) {
  let file = open("/proc/thread-self/comm", O_WRONLY)
  guard file >= 0 else { return }
  _ = name.withCString { write(file, $0, min(strlen($0), 15)) }
  close(file)
}
