// What an endpoint counts, for the node's metrics.

import OpenSSL
import UVLoop

package struct FabricCounters: Equatable, Sendable {
  package var datagramsAccepted = 0
  package var datagramsDropped = 0
  /// Came with an error of the system, or longer than any buffer.
  package var datagramsDamaged = 0
  /// Connections that the system announced and did not hand over.
  package var acceptsFailed = 0
  package var datagramsRefused: [String: Int] = [:]
  /// By reason: `tls.…`, `fabric.…`, `transport.…`, `refused.…`.
  package var linksEnded: [String: Int] = [:]
  /// Questions and connections that were refused without ending a link, by `FabricRefusal`.
  package var refused: [String: Int] = [:]
  package var links = 0
  package var handshakes = 0
  package var joins = 0
  package var joinsAnswered = 0
}

extension FabricLink.End {
  /// The counter's name.
  package var name: String {
    switch self {
    case .tls(let reason): "tls." + reason.rawValue
    case .fabric(let reason): "fabric." + reason.rawValue
    case .transport(let error): "transport." + (error?.name ?? "closed")
    case .refused(let reason): "refused." + reason.rawValue
    }
  }
}
