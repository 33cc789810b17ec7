// The stream between two nodes: in order and without loss while it is up; when it breaks, what was on its way is lost.
// While the network is cut it holds messages back for a while, as TCP does, before it breaks.

struct SimulatedStream {
  var isUp = false
  /// One end's process is gone, and the other does not know yet.
  var isDead = false
  /// Counts streams: what was sent on an earlier one is void.
  var generation = 0
  /// No message overtakes another: of each direction.
  var last: [Int64] = [0, 0]
  var backlog: [[[UInt8]]] = [[], []]
  var stalledSince: Int64?
  var patience: Int64 = 0
}
