// A page of counters that a child process shares with its parent, so that they can be read after the child is dead.

import Glibc
import Synchronization

final class SharedPage: @unchecked Sendable {
  // Invariant: the mapping lives as long as the object, and every word of it is only used as an atomic.
  enum Counter: Int, CaseIterable {
    case ready, submitted, answered, acknowledged
    /// How many operations of each phase are going on right now.
    case commit, checkpoint, roll, upload, snapshot, restore

    static let phases: [Counter] = [.commit, .checkpoint, .roll, .upload, .snapshot, .restore]
    var name: String { "\(self)" }
  }

  private let words: UnsafeMutablePointer<Atomic<Int>>
  private static let bytes = 4096

  /// Maps the file at `path`; `making` makes and clears it.
  init(_ path: String, making: Bool) {
    let descriptor = open(path, making ? O_RDWR | O_CREAT | O_TRUNC : O_RDWR, 0o600)
    precondition(descriptor >= 0 && ftruncate(descriptor, off_t(Self.bytes)) == 0, "cannot make \(path)")
    let memory = mmap(nil, Self.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    precondition(memory != MAP_FAILED, "cannot map \(path)")
    close(descriptor)
    words = memory!.bindMemory(to: Atomic<Int>.self, capacity: Counter.allCases.count)
  }

  deinit { munmap(words, Self.bytes) }

  subscript(counter: Counter) -> Int { words[counter.rawValue].load(ordering: .sequentiallyConsistent) }

  func add(_ counter: Counter, _ n: Int) {
    words[counter.rawValue].wrappingAdd(n, ordering: .sequentiallyConsistent)
  }

  /// Counts as active while `body` runs.
  func during<R>(_ phase: Counter, _ body: () async throws -> R) async rethrows -> R {
    add(phase, 1)
    defer { add(phase, -1) }
    return try await body()
  }
}
