// Work that is begun before it is wanted, on two threads that all exports share, and taken in the order in which it was
// begun. What is begun and not taken yet is in memory, so its owner begins at most `depth`.

import Threads

final class ExportAhead<Value: Sendable> {
  private typealias Slot = Lock<Result<Value, any Error>?>
  private var slots: [Slot] = []

  /// Both threads have work while what comes next is ready.
  static var depth: Int { 3 }
  var count: Int { slots.count }

  func begin(_ work: @escaping @Sendable () throws -> Value) {
    let slot = Slot(nil)
    slots.append(slot)
    ExportAheadThreads.pool.run {
      let result = Result { try work() }
      slot.with { $0 = result }
      slot.wake()
    }
  }

  /// What was begun first; throws what its work has thrown. There is one.
  func take() throws -> Value {
    try slots.removeFirst().wait(until: { $0 != nil }, { $0! }).get()
  }

  /// To be called however its owner ends, before anybody else touches what the work uses: returns when none is left.
  func close() {
    for slot in slots { slot.wait(until: { $0 != nil }, { _ in }) }
    slots = []
  }
}

/// A generic type has no static properties of its own.
private enum ExportAheadThreads {
  static let pool = WorkPool(name: "export-ahead", threads: 2, priority: BackupWork.priority)
}
