// Streams between nodes: they begin when both ends live and reach each other, stall under a cut, and break.

import Base
import Formats
import Replication
import Simulator

extension ClusterWorld {
  private func key(_ a: Int, _ b: Int) -> Int { min(a, b) * members.count + max(a, b) }

  func prepareStreams() {
    for a in members.indices { for b in members.indices where b > a { putReplica(.connect(a, b), at: connectDelay()) } }
  }

  func putReplica(_ event: ReplicaEvent, at instant: Int64) { scheduler.put(.owner(.replica(event)), at: instant) }

  private func connectDelay() -> Int64 { now + Int64(20 + random.below(80)) * 1_000_000 }

  private func isCut(_ a: Int, _ b: Int) -> Bool { network.isCut(from: a, to: b) || network.isCut(from: b, to: a) }

  /// Tries again until it is up.
  func connect(_ a: Int, _ b: Int) {
    guard let ownership, ownership.streams[key(a, b)]?.isUp != true else { return }
    guard ownership.owners[a].driver != nil, ownership.owners[b].driver != nil, !isPaused(a), !isPaused(b),
      !isCut(a, b), let arrival = network.onStream(from: a, to: b, at: now)
    else { return putReplica(.connect(a, b), at: connectDelay()) }
    var stream = SimulatedStream()
    stream.isUp = true
    stream.generation = (ownership.streams[key(a, b)]?.generation ?? 0) + 1
    stream.last = [arrival, arrival]
    ownership.streams[key(a, b)] = stream
    putReplica(.peerUp(a, life: members[a].life, b), at: now)
    putReplica(.peerUp(b, life: members[b].life, a), at: arrival)
  }

  func sendOnStream(_ bytes: [UInt8], from: Int, to: Int) {
    guard let ownership, var stream = ownership.streams[key(from, to)], stream.isUp, !stream.isDead else { return }
    let direction = from < to ? 0 : 1
    if isCut(from, to) || stream.stalledSince != nil {
      stream.backlog[direction].append(bytes)
      if stream.stalledSince == nil {
        stream.stalledSince = now
        stream.patience = Int64(100 + random.below(1400)) * 1_000_000
        putReplica(.stall(min(from, to), max(from, to), generation: stream.generation), at: now + 20_000_000)
      }
    } else {
      deliver(bytes, from: from, to: to, on: &stream)
    }
    ownership.streams[key(from, to)] = stream
  }

  private func deliver(_ bytes: [UInt8], from: Int, to: Int, on stream: inout SimulatedStream) {
    guard let arrival = network.onStream(from: from, to: to, at: now) else { return }
    let direction = from < to ? 0 : 1
    stream.last[direction] = max(stream.last[direction] + 1, arrival)
    putReplica(
      .message(to: to, life: members[to].life, from: from, generation: stream.generation, bytes),
      at: stream.last[direction])
  }

  func stalled(_ a: Int, _ b: Int, _ generation: Int) {
    guard let ownership, var stream = ownership.streams[key(a, b)], stream.generation == generation, stream.isUp,
      let since = stream.stalledSince
    else { return }
    guard isCut(a, b) else {
      stream.stalledSince = nil
      let backlog = stream.backlog
      stream.backlog = [[], []]
      for bytes in backlog[0] { deliver(bytes, from: a, to: b, on: &stream) }
      for bytes in backlog[1] { deliver(bytes, from: b, to: a, on: &stream) }
      ownership.streams[key(a, b)] = stream
      return
    }
    if now - since > stream.patience { return breakStream(a, b, generation) }
    putReplica(.stall(a, b, generation: generation), at: now + 20_000_000)
  }

  func breakStream(_ a: Int, _ b: Int, _ generation: Int) {
    guard let ownership, var stream = ownership.streams[key(a, b)], stream.generation == generation, stream.isUp else {
      return
    }
    totals.note("stream broken")
    stream.isUp = false
    stream.generation += 1
    stream.backlog = [[], []]
    ownership.streams[key(a, b)] = stream
    for (number, peer) in [(a, b), (b, a)] where ownership.owners[number].driver != nil {
      putReplica(.peerDown(number, life: members[number].life, peer), at: now + Int64(random.below(5_000_000)))
    }
    putReplica(.connect(a, b), at: connectDelay())
  }

  /// The other ends notice at once, or when nothing comes for a while.
  func streamsDie(of number: Int) {
    guard let ownership else { return }
    for other in members.indices where other != number {
      guard var stream = ownership.streams[key(number, other)], stream.isUp, !stream.isDead else { continue }
      stream.isDead = true
      ownership.streams[key(number, other)] = stream
      let delay = random.oneIn(3) ? Int64(random.below(1000)) * 1_000_000 : plan.conditions.delay
      putReplica(
        .broken(min(number, other), max(number, other), generation: stream.generation), at: now + delay)
    }
  }

  /// A part of what was sent on an earlier stream comes late all the same.
  func arrives(_ to: Int, _ from: Int, _ generation: Int, _ bytes: [UInt8]) {
    guard let ownership, let stream = ownership.streams[key(from, to)] else { return }
    if stream.generation != generation || !stream.isUp {
      guard random.oneIn(4) else { return }
      totals.note("message of an earlier stream")
    }
    guard let message = try? ReplicationMessage(bytes), let shard = ownership.shardNumbers[message.account] else {
      return fail(Violation(checker: "replication messages", message: "\(from) sent what cannot be read"))
    }
    var naming: [LogIndex: [RecordingID]] = [:]
    if case .append(let append) = message {
      for record in append.records where record.header.kind == .recordings {
        naming[record.header.index] = SimulatedRecord.recordings(record)
      }
    }
    replicaStep(to, shard, .message(message, from: members[from].id, naming: naming))
  }
}
