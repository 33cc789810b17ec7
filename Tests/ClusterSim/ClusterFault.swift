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
  /// The process dies between two effects, after so many more of them.
  case crashBetweenEffects(Int, Int)
  /// The process dies and starts again after so long.
  case bounce(Int, Int64)
  /// The primary of a shard is cut off while all its other voters start anew, or crash between two effects.
  case coup(shard: Int, Int64)
  /// The disk is gone: another node takes its place.
  case loseDisk(Int)
  /// The logs are gone, the rest of the disk is not.
  case emptyLog(Int)
  case localWriteFails(Int)
  /// A page of the database was not written, and the disk does not know.
  case stalePage(Int)
  /// The primary of a shard is cut off from the others while clients still reach it: its tail is lost to the next one.
  case deposed(shard: Int, Int64)
  /// The primary and one of its voters do not hear each other, and much is lost everywhere.
  case split(shard: Int, Int64)
  case stallLog(Int, Int64)
  case cutStore([Int], Int64)
  case downStore(Int64)
  case slowStore(Int64)
  case compactStore
  case breakWatches
  case handOver(shard: Int)
  case changeVoters(shard: Int)
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
    case .crashBetweenEffects: "crash at an effect"
    case .bounce: "crash and quick restart"
    case .coup: "primary cut off, voters restarted"
    case .loseDisk: "lost disk"
    case .emptyLog: "emptied log"
    case .localWriteFails: "failed write"
    case .stalePage: "stale page"
    case .deposed: "primary deposed"
    case .split: "primary split from a voter"
    case .stallLog: "stalled log"
    case .cutStore: "control store cut off"
    case .downStore: "control store down"
    case .slowStore: "control store slow"
    case .compactStore: "control store compacted"
    case .breakWatches: "watches broken"
    case .handOver: "hand-over"
    case .changeVoters: "change of voters"
    }
  }

  var description: String {
    switch self {
    case .powerFailure, .compactStore, .breakWatches: name
    case .crashBetweenEffects(let n, let count): "\(name) \(n) after \(count)"
    case .handOver(let shard), .changeVoters(let shard): "\(name) of shard \(shard)"
    case .coup(let shard, let time), .deposed(let shard, let time), .split(let shard, let time):
      "\(name) of shard \(shard) \(time / 1_000_000) ms"
    case .loseDisk(let n), .emptyLog(let n), .localWriteFails(let n), .stalePage(let n): "\(name) \(n)"
    case .bounce(let n, let time), .stallLog(let n, let time): "\(name) \(n) \(time / 1_000_000) ms"
    case .cutStore(let nodes, let time): "\(name) \(nodes) \(time / 1_000_000) ms"
    case .downStore(let time), .slowStore(let time): "\(name) \(time / 1_000_000) ms"
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
