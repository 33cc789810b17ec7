// A request on its way to another node, seen from the node that passes it on.
//
// One task sends the body while another waits for the reply. Dropping it gives it up.

package import Fabric
package import Formats

package final class ForwardedExchange: Sendable {
  private let bytes: ForwardingBytes
  private let release: ForwardingGate.Place

  init(_ channel: FabricChannel, holding release: ForwardingGate.Place) {
    bytes = ForwardingBytes(channel)
    self.release = release
  }

  /// A piece of the body; returns when the link has taken it.
  package func send(_ piece: [UInt8]) async throws(FabricError) { try await bytes.channel.send(piece) }

  /// The body is whole.
  package func finish() async { await bytes.channel.finish() }

  package func reply() async throws(FabricError) -> ForwardedReply {
    try await bytes.head(ForwardedReply.take)
  }

  /// The next bytes of the reply's body; nil at its end.
  package func body() async throws(FabricError) -> [UInt8]? { try await bytes.body() }

  package func cancel() async { await bytes.channel.cancel() }
}
