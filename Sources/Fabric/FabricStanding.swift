// A peer whose link is to stand: made again whenever it ends, until the node says otherwise.

import Base
import UVLoop

/// Lives on the endpoint's loop.
final class FabricStanding {
  let id: NodeID
  var address: SocketAddress
  var backoff: FabricBackoff
  /// Runs between two attempts.
  var timer: UVTimer?
  /// Questions that wait for the link.
  var waiting: [FabricCaller.Question] = []
  var isUp = false
  /// What the service was told last.
  var reported: FabricLoss?
  /// The link that is to take the present one's place.
  var next: FabricCaller?
  /// The present link goes to a former address or was made with a former certificate: it is to be replaced.
  var isStale = false

  init(_ id: NodeID, _ address: SocketAddress, _ backoff: FabricBackoff) {
    (self.id, self.address, self.backoff) = (id, address, backoff)
  }
}
