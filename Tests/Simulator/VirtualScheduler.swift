// Virtual time: events in the order of their instants, equal ones in the order in which they were put.
//
// Instants are nanoseconds since the run began. Nothing here waits; a run of hours takes as long as its events do.

package struct VirtualScheduler<Event> {
  private struct Entry {
    let at: Int64
    let serial: UInt64
    let event: Event

    func isBefore(_ other: Entry) -> Bool { (at, serial) < (other.at, other.serial) }
  }

  /// The instant of the event that was taken last.
  package private(set) var now: Int64 = 0
  private var heap: [Entry] = []
  private var serial: UInt64 = 0

  package init() {}

  package var count: Int { heap.count }
  package var nextInstant: Int64? { heap.first?.at }

  /// Puts an event; one in the past happens next.
  package mutating func put(_ event: Event, at instant: Int64) {
    serial += 1
    heap.append(Entry(at: max(instant, now), serial: serial, event: event))
    var i = heap.count - 1
    while i > 0, heap[i].isBefore(heap[(i - 1) / 2]) {
      heap.swapAt(i, (i - 1) / 2)
      i = (i - 1) / 2
    }
  }

  /// The next event not after `limit`; time moves to it, or to `limit` when there is none.
  package mutating func take(until limit: Int64 = .max) -> Event? {
    guard let first = heap.first, first.at <= limit else {
      if limit != .max { now = max(now, limit) }
      return nil
    }
    now = first.at
    let last = heap.removeLast()
    guard !heap.isEmpty else { return first.event }
    heap[0] = last
    var i = 0
    while true {
      var least = i
      for child in (2 * i + 1)...(2 * i + 2) where child < heap.count && heap[child].isBefore(heap[least]) {
        least = child
      }
      if least == i { return first.event }
      heap.swapAt(i, least)
      i = least
    }
  }
}
