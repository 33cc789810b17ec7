// The timers of many shards: one heap, of which the loop watches the least. A shard has one timer; setting it anew leaves
// the old entry behind, which is skipped when its turn comes.

import Base

struct ShardTimers {
  private struct Entry {
    let at: Instant
    let replica: ShardReplica
  }

  private var heap: [Entry] = []

  /// When to look next; nil without timers.
  var next: Instant? { heap.first?.at }

  mutating func set(_ replica: ShardReplica, _ instant: Instant) {
    replica.timer = instant
    heap.append(Entry(at: instant, replica: replica))
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child].at < heap[parent].at else { break }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  /// The next shard whose time has come.
  mutating func due(at now: Instant) -> ShardReplica? {
    while let first = heap.first, first.at <= now {
      pop()
      guard first.replica.timer == first.at else { continue }
      first.replica.timer = nil
      return first.replica
    }
    return nil
  }

  private mutating func pop() {
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var parent = 0
    while true {
      let left = 2 * parent + 1
      guard left < heap.count else { return }
      let right = left + 1
      let child = right < heap.count && heap[right].at < heap[left].at ? right : left
      guard heap[child].at < heap[parent].at else { return }
      heap.swapAt(child, parent)
      parent = child
    }
  }
}
