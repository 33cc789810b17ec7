// Who listens at an address: for programs that know where their cluster is, but not who is there.

package import Base
import Formats
import OpenSSL
package import UVLoop

extension FabricEndpoint {
  /// Makes a link of its own to `address`, hears which node of the cluster proves itself there, and ends it.
  package func identify(_ address: SocketAddress) async throws(FabricError) -> NodeID {
    guard !isClosed else { throw FabricError(.closed, "the fabric is closed") }
    let result = await withCheckedContinuation { (waiter: CheckedContinuation<Result<NodeID, FabricError>, Never>) in
      do {
        let link = try FabricLink(
          calling: address, on: loop, context: context, expecting: TLSExpectation(roles: [.node]),
          limits: configuration.limits, handshakeTimeout: configuration.handshakeTimeout)
        var isKnown = false
        link.onEstablished = { identity in
          isKnown = true
          waiter.resume(returning: .success(identity.id))
          link.close(.idle)
        }
        link.onEnd = { end in
          guard !isKnown else { return }
          let code: FabricError.Code = FabricLoss(end, wasReady: false) == .refused ? .refused : .unreachable
          waiter.resume(returning: .failure(FabricError(code, "no link: \(end.name)", reason: end.name)))
        }
      } catch {
        waiter.resume(returning: .failure(FabricError(.unreachable, "\(error)")))
      }
    }
    return try result.get()
  }
}
