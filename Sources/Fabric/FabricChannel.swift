// A long-lived stream between two nodes, in both directions, with back-pressure: `send` waits while the other side does
// not fetch, and what is not fetched is at most one window.
//
// Messages have no bounds here: what is sent together may arrive in pieces, in order. One task sends and one receives at
// a time. For an actor on the endpoint's own loop none of these calls is a change of threads, and it may bind the channel
// to a pipe. A channel ends with its link; whoever needs more opens another one. Dropping it gives it up, unless it was
// finished: then what was sent still leaves.

package import Base
package import UVLoop

package final class FabricChannel: Sendable {
  let endpoint: FabricEndpoint
  let token: UInt64
  /// The peer's id and the method that opened it.
  package let peer: NodeID
  package let method: UInt16

  init(_ endpoint: FabricEndpoint, token: UInt64, peer: NodeID, method: UInt16) {
    (self.endpoint, self.token, self.peer, self.method) = (endpoint, token, peer, method)
  }

  deinit {
    let (endpoint, token) = (endpoint, token)
    Task { await endpoint.abandon(token) }
  }

  /// Where its pipe is called.
  package nonisolated var loop: UVLoop { endpoint.loop }

  /// Returns when the link has taken all of it, which is not yet the peer.
  package nonisolated(nonsending) func send(_ bytes: [UInt8]) async throws(FabricError) {
    try await endpoint.send(bytes, over: token).get()
  }

  /// The next bytes; nil after the peer has finished.
  package nonisolated(nonsending) func receive() async throws(FabricError) -> [UInt8]? {
    try await endpoint.receive(from: token).get()
  }

  /// Nothing more is sent; receiving goes on.
  package nonisolated(nonsending) func finish() async { await endpoint.finish(token) }

  /// Gives it up in both directions.
  package nonisolated(nonsending) func cancel() async { await endpoint.cancel(token) }
}
