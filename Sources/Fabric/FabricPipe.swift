// A channel whose owner lives on the endpoint's loop: what arrives is a call in the same turn, and what is given leaves in
// the same turn. For small messages that cannot wait for a task to be woken: beats, records, acknowledgements.
//
// The owner gives credit back itself (`took`), so what it has not worked off holds the peer up. It keeps the channel as
// long as it wants it. Calls come in the middle of the link's work: an owner that gives more from inside one is taken at
// its word and asked again later.

import Formats

package struct FabricPipe: Sendable {
  /// Bytes in their order; messages may come in pieces.
  package var received: @Sendable ([UInt8]) -> Void
  /// After `give` took less than it was given: there is room again.
  package var sendable: @Sendable () -> Void
  /// Once, when no more comes; nil when the peer has finished.
  package var ended: @Sendable (FabricError?) -> Void

  package init(
    received: @escaping @Sendable ([UInt8]) -> Void, sendable: @escaping @Sendable () -> Void,
    ended: @escaping @Sendable (FabricError?) -> Void
  ) {
    (self.received, self.sendable, self.ended) = (received, sendable, ended)
  }
}

/// For an owner on the endpoint's loop that was given the channel alone.
extension FabricChannel {
  package func bind(to pipe: FabricPipe) { endpoint.assumeIsolated { $0.bind(self, to: pipe) } }
  package func give(_ bytes: [UInt8], from start: Int) -> Int {
    endpoint.assumeIsolated { $0.give(bytes, from: start, over: self) }
  }
  package func took(_ count: Int) { endpoint.assumeIsolated { $0.took(count, from: self) } }
  package func drop() { endpoint.assumeIsolated { $0.cancel(self) } }
}

extension FabricEndpoint {
  /// From now on `pipe` has what arrives; what has arrived already at once. No task sends or receives any more.
  package func bind(_ channel: FabricChannel, to pipe: FabricPipe) {
    guard let state = channels[channel.token] else { return pipe.ended(FabricError(.closed, "given up")) }
    precondition(state.receiver == nil && state.outbox.isEmpty, "a channel is bound before it is used")
    state.pipe = pipe
    pour(state)
    if let failure = state.failure { end(state, failure) }
  }

  /// Sends as much from `start` on as there is room for, and gives how much that was.
  package func give(_ bytes: [UInt8], from start: Int, over channel: FabricChannel) -> Int {
    guard let state = channels[channel.token], state.failure == nil, !state.isFinished else { return 0 }
    let count = min(bytes.count - start, state.link.sendRoom(of: state.id))
    if count > 0 {
      let piece = count == bytes.count ? bytes : Array(bytes[start..<(start + count)])
      state.link.handle(.send(state.id, piece, ends: false))
    }
    if count < bytes.count - start, state.failure == nil { state.link.handle(.wantRoom(state.id)) }
    return max(count, 0)
  }

  /// `count` bytes that were received are worked off.
  package func took(_ count: Int, from channel: FabricChannel) {
    guard let state = channels[channel.token], state.failure == nil else { return }
    state.link.handle(.consumed(state.id, count))
  }

  /// Gives it up at once, in both directions.
  package func cancel(_ channel: FabricChannel) { cancel(channel.token) }

  /// What has arrived on a bound channel.
  func pour(_ state: FabricChannelState) {
    guard let pipe = state.pipe else { return }
    let inbox = state.inbox
    state.inbox = []
    for bytes in inbox { pipe.received(bytes) }
    if state.peerEnded { end(state, nil) }
  }

  func end(_ state: FabricChannelState, _ failure: FabricError?) {
    guard let pipe = state.pipe.take() else { return }
    pipe.ended(failure)
  }
}
