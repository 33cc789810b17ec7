// A named operating-system thread, for C code that blocks: syncs, SQLite, compression. It is joined, never detached.

import Glibc

public final class Thread: @unchecked Sendable {
  // Invariant: `handle` is written before `init` returns and read by `join`, which one owner calls once.
  private var handle = pthread_t()

  private final class Start {
    let name: String
    let body: @Sendable () -> Void
    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// Starts at once. `name` shows in the process list, cut to 15 bytes.
  public init(name: String, stackBytes: Int = 2 << 20, _ body: @escaping @Sendable () -> Void) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, stackBytes)
    let start = Unmanaged.passRetained(Start(name, body))
    let result = pthread_create(
      &handle, &attributes,
      { raw in
        let start = Unmanaged<Start>.fromOpaque(raw!).takeRetainedValue()
        nameThisThread(start.name)
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
