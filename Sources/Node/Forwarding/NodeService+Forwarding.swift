// Requests that another node has to answer: passed on over the fabric, where both sides have proved who they are, and
// taken in from there.
//
// The node knows no HTTP here: the edge says what a request is, and registers who answers those that come in.

package import Base
package import Fabric
package import Formats
import OpenSSL
import Threads
import UVLoop

extension NodeService {
  package var routing: any ShardRouting { forwarding.routing.with { $0 } }

  /// From now on `routing` says where accounts are led.
  package func use(_ routing: any ShardRouting) { forwarding.routing.with { $0 = routing } }

  /// No other node could answer.
  package var standsAlone: Bool { cluster == nil }

  /// The name of a node of this cluster.
  package func nodeName(_ id: NodeID) -> String? { control.view.with { $0[id]?.record.name } }

  /// The node of this cluster that has this name now.
  package func nodeID(named name: String) -> NodeID? { control.view.with { $0.node(named: name)?.record.id } }

  /// The other nodes that belong to the cluster now, in the order of their ids.
  package var otherNodes: [NodeID] {
    control.view.with { view in
      view.nodes.values.map(\.record).filter { $0.id != nodeID && ($0.state == .active || $0.state == .draining) }
        .map(\.id).sorted()
    }
  }

  /// Opens the way to `node` and sends the head. When this throws, nothing of the request was handled there.
  package func forward(
    _ request: ForwardedRequest, to node: NodeID, until deadline: ContinuousClock.Instant
  ) async throws(NodeError) -> ForwardedExchange {
    guard let cluster, let record = control.view.with({ $0[node]?.record }), let address = SocketAddress(record.fabric)
    else {
      throw NodeError(.unavailable, "the node that leads the account is not known here yet: try again in a moment")
    }
    let head: [UInt8]
    do throws(FormatError) { head = try request.encode() } catch {
      throw NodeError(.invalid, "the head of the request is too long to be passed on: \(error)")
    }
    guard let place = await forwarding.gate.enter(node, until: deadline) else {
      throw NodeError(.unavailable, "too many requests are on their way to \(record.name): try again in a moment")
    }
    do throws(FabricError) {
      let channel = try await cluster.endpoint.open(
        node, at: address, method: FabricMethod.forward.rawValue, priority: .normal)
      let exchange = ForwardedExchange(channel, holding: place)
      // What the link does not take is not known there; what it took may be, and the caller finds out by the reply.
      try await exchange.send(head)
      return exchange
    } catch {
      throw NodeError(.unavailable, "\(record.name) does not answer (\(error.message)): try again in a moment")
    }
  }

  /// `body` answers what other nodes pass on, until `stopTakingForwarded`.
  package func takeForwarded(_ body: @escaping @Sendable (ForwardedCall) async -> Void) {
    forwarding.handlers.with { $0.forwarded = body }
  }

  /// What answers them now.
  package var forwardedHandler: (@Sendable (ForwardedCall) async -> Void)? {
    forwarding.handlers.with { $0.forwarded }
  }

  /// Requests that are on their way to other nodes, their replies' bodies included.
  package var forwardedInFlight: Int { forwarding.gate.inFlight }

  package func stopTakingForwarded() { forwarding.handlers.with { $0.forwarded = nil } }

  func serveForwarded(_ cluster: ClusterService) {
    let forwarding = forwarding
    cluster.dispatch.set { handlers in
      handlers.channels[FabricMethod.forward.rawValue] = ClusterDispatch.Channel(
        isOpen: { forwarding.handlers.with { $0.forwarded != nil } },
        serve: { channel, _ in
          guard let handler = forwarding.handlers.with({ $0.forwarded }) else { return await channel.cancel() }
          let bytes = ForwardingBytes(channel)
          do throws(FabricError) {
            await handler(ForwardedCall(try await bytes.head(ForwardedRequest.take), bytes))
          } catch {
            await channel.cancel()
          }
        })
    }
  }
}

extension NodeService {
  /// `body` serves each line of a program with a client's certificate, until `stopTakingAccountRequests`. The certificate
  /// proves nothing but that it may ask: what it asks for needs a token.
  package func takeAccountRequests(_ body: @escaping @Sendable (FabricChannel) async -> Void) {
    forwarding.handlers.with { $0.requests = body }
  }

  package func stopTakingAccountRequests() { forwarding.handlers.with { $0.requests = nil } }

  func serveAccountRequests(_ cluster: ClusterService) {
    let forwarding = forwarding
    cluster.dispatch.set { handlers in
      handlers.channels[FabricMethod.accountRequests.rawValue] = ClusterDispatch.Channel(
        roles: [.client], isOpen: { forwarding.handlers.with { $0.requests != nil } },
        serve: { channel, _ in
          guard let handler = forwarding.handlers.with({ $0.requests }) else { return await channel.cancel() }
          await handler(channel)
        })
    }
  }

  /// Where the fabric of a node is reached.
  package func fabricAddress(_ id: NodeID) -> String? { control.view.with { $0[id]?.record.fabric } }
}

/// What forwarding keeps beside the node.
final class Forwarding: Sendable {
  struct Handlers {
    var forwarded: (@Sendable (ForwardedCall) async -> Void)?
    var requests: (@Sendable (FabricChannel) async -> Void)?
  }

  let routing: Lock<any ShardRouting>
  let handlers = Lock(Handlers())
  let gate = ForwardingGate()

  init(_ routing: any ShardRouting) { self.routing = Lock(routing) }
}
