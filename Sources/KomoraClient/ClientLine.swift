// What `ClientCore` knows of its channel to one node. It lives on the core's loop; its `exchange` is everybody's.

import Base
import Fabric
import Formats

final class ClientLine {
  enum Phase {
    case opening
    case open
    case over(ClientFailure)
  }

  let node: NodeID
  let exchange = ClientExchange()
  var phase = Phase.opening
  var channel: FabricChannel?
  /// Those who wait for it to open.
  var arrivals: [CheckedContinuation<ClientFailure?, Never>] = []
  var messages = AccountMessages()
  /// What leaves now, and how much of it has been given to the link.
  var batch: [UInt8] = []
  var given = 0
  var isPumping = false

  init(_ node: NodeID) { self.node = node }

  var isOver: Bool { if case .over = phase { true } else { false } }
}
