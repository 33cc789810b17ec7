// What arrives over the fabric, sent to whom it concerns. It exists before those do, because the endpoint wants it first.

import Base
import Fabric
import Membership
import OpenSSL
import Threads
import UVLoop

final class ClusterDispatch: FabricService {
  typealias Answer = @Sendable (_ question: [UInt8], _ peer: X509Identity) async -> [UInt8]?

  /// Serves a method that is spoken as a channel.
  struct Channel: Sendable {
    var roles: Set<X509Identity.Role> = [.node]
    /// While this is false the method may not be asked.
    var isOpen: @Sendable () -> Bool = { true }
    var serve: @Sendable (FabricChannel, X509Identity) async -> Void
  }

  struct Handlers: Sendable {
    var membership: MembershipService?
    var answers: [UInt16: Answer] = [:]
    var channels: [UInt16: Channel] = [:]
    var join: (@Sendable ([UInt8], SocketAddress?) async -> [UInt8]?)?
  }

  private let handlers = Lock(Handlers())

  func set(_ change: (inout Handlers) -> Void) { handlers.with { change(&$0) } }

  /// Nodes may ask each other everything here; whom a channel is for, it says itself.
  func permits(_ method: UInt16, to peer: X509Identity) -> Bool {
    if let channel = handlers.with({ $0.channels[method] }) {
      return channel.roles.contains(peer.role) && channel.isOpen()
    }
    return peer.role == .node
      && (method == FabricMethod.pushPull.rawValue || handlers.with { $0.answers[method] != nil })
  }

  func shape(of method: UInt16) -> FabricShape {
    handlers.with { $0.channels[method] != nil } ? .channel : .question
  }

  func serve(_ channel: FabricChannel, _ method: UInt16, from peer: X509Identity) async {
    await handlers.with { $0.channels[method] }?.serve(channel, peer)
  }

  func answer(_ method: UInt16, _ question: [UInt8], from peer: X509Identity) async -> [UInt8]? {
    if method == FabricMethod.pushPull.rawValue {
      return await handlers.with { $0.membership }?.exchange(question, from: peer.id)
    }
    return await handlers.with { $0.answers[method] }?(question, peer)
  }

  func heard(_ datagram: [UInt8], from sender: NodeID, at address: SocketAddress) {
    guard let membership = handlers.with({ $0.membership }) else { return }
    membership.assumeIsolated { $0.heard(datagram, from: sender, at: address) }
  }

  func join(_ question: [UInt8], from address: SocketAddress?) async -> [UInt8]? {
    await handlers.with { $0.join }?(question, address)
  }

  func linkDown(_ id: NodeID, reason: FabricLoss) {
    guard let membership = handlers.with({ $0.membership }) else { return }
    switch reason {
    // A node that says goodbye stops, and its membership says so too.
    case .closed, .here, .refused: return
    case .unreachable: membership.assumeIsolated { $0.hint(.refused, about: id) }
    case .lost, .silent: membership.assumeIsolated { $0.hint(.closed, about: id) }
    }
  }
}
