// One object for each thread that asks, made at its first request and freed when the thread ends.
//
// For C contexts that are costly to make and must not be shared. What `value` gives is used before the next suspension
// and never kept: a task may go on on another thread.

import Glibc

package final class PerThread<Value: AnyObject>: Sendable {
  private let key: pthread_key_t
  private let make: @Sendable () -> Value

  package init(_ make: @escaping @Sendable () -> Value) {
    var key = pthread_key_t()
    let result = pthread_key_create(&key) { raw in
      if let raw { Unmanaged<AnyObject>.fromOpaque(raw).release() }
    }
    precondition(result == 0, "no key for thread-specific data is left")
    self.key = key
    self.make = make
  }

  // A static owner lives as long as the process; freeing the key would leak what other threads hold.
  deinit { preconditionFailure("PerThread is for static properties") }

  package var value: Value {
    if let raw = pthread_getspecific(key) { return Unmanaged<Value>.fromOpaque(raw).takeUnretainedValue() }
    let value = make()
    pthread_setspecific(key, Unmanaged.passRetained(value).toOpaque())
    return value
  }
}
