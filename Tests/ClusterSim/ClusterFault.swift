// One thing that goes wrong, or that an operator does, at a moment of a run.

enum ClusterFault: Sendable, CustomStringConvertible {
  /// The process dies; what it had asked the disk for may be lost.
  case crash(Int)
  case restart(Int)
  /// All processes die at once, and start again one after the other.
  case powerFailure
  case leave(Int)
  /// Nothing runs for so long; what arrives waits in the socket.
  case pause(Int, Int64)
  /// Only a quarter of the time is left, in slices.
  case starve(Int, Int64)
  /// Syncs take this long from now on.
  case slowDisk(Int, Int64)
  /// Everything between the two sides is lost, for so long.
  case partition(side: [Int], Int64)
  /// What the first sends to the second is lost; the other way works.
  case oneWay(from: [Int], to: [Int], Int64)
  /// A stream between them ends although both live.
  case streamClosed(Int, Int)
  case streamRefused(Int, Int)
  /// What a node measures about itself changes.
  case sample(Int, lagMilliseconds: Int, diskFillPermille: Int)

  var name: String {
    switch self {
    case .crash: "crash"
    case .restart: "restart"
    case .powerFailure: "power failure"
    case .leave: "leave"
    case .pause: "pause"
    case .starve: "starvation"
    case .slowDisk: "slow disk"
    case .partition: "partition"
    case .oneWay: "one-way cut"
    case .streamClosed: "stream closed"
    case .streamRefused: "stream refused"
    case .sample: "sample"
    }
  }

  var description: String {
    switch self {
    case .powerFailure: name
    case .crash(let n), .restart(let n), .leave(let n): "\(name) \(n)"
    case .pause(let n, let time), .starve(let n, let time), .slowDisk(let n, let time):
      "\(name) \(n) \(time / 1_000_000) ms"
    case .partition(let side, let time): "\(name) \(side) \(time / 1_000_000) ms"
    case .oneWay(let from, let to, let time): "\(name) \(from) -> \(to) \(time / 1_000_000) ms"
    case .sample(let n, let lag, let fill): "\(name) \(n) lag \(lag) ms disk \(fill) permille"
    case .streamClosed(let a, let b), .streamRefused(let a, let b): "\(name) \(a) - \(b)"
    }
  }
}
