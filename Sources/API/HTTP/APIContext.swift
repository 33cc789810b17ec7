// What is known about a request besides the request: where it came from, how long its client waits, by what right this
// node answers it, and the channel under it: a client's connection, or a node's that passed it on.

import Base
import Formats
import Glibc
import Hummingbird
import Logging
import NIOCore
import Node
import OpenSSL

struct APIContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  private let channel: (any Channel)?
  /// Nil for what a client sent to this node itself.
  let forwarded: ForwardedCall?
  /// When the client stops waiting.
  private(set) var deadline: ContinuousClock.Instant
  /// Nil on a node that stands alone, and where no shard is concerned.
  var serving: Serving?

  init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    channel = source.channel
    forwarded = nil
    deadline = .now + NodeConfiguration.Timers().requestTimeout
  }

  init(_ call: ForwardedCall, _ logger: Logger) {
    var logger = logger
    logger[metadataKey: "hb.request.id"] = "\(SystemRandom.bytes(8).hex)"
    coreContext = .init(source: ForwardedSource(logger: logger))
    channel = nil
    forwarded = call
    deadline = call.deadline
  }

  private struct ForwardedSource: RequestContextSource {
    let logger: Logger
  }

  /// A client's own wish, `Komora-Deadline: 5s`, within what the node allows.
  mutating func take(_ wish: String?, within longest: Duration) throws(APIError) {
    guard forwarded == nil else { return }
    var time = longest
    if let wish {
      guard let wanted = Quantity.duration(wish), wanted > .zero else {
        throw APIError(.badRequest, code: "invalid", "Komora-Deadline is a time with its unit, such as 500ms or 5s")
      }
      time = min(time, wanted)
    }
    deadline = .now + time
  }

  /// As text; nil when it is not known.
  var clientAddress: String? {
    if let forwarded { return forwarded.request.client.isEmpty ? nil : forwarded.request.client }
    return remoteAddress?.ipAddress
  }

  private var remoteAddress: SocketAddress? { channel?.remoteAddress ?? channel?.parent?.remoteAddress }

  var isFromLoopback: Bool {
    switch remoteAddress {
    case .v4(let address): address.address.sin_addr.s_addr & 0xff == 127
    case .v6: remoteAddress?.ipAddress == "::1"
    default: false
    }
  }

  /// A reply may end the client's connection: so it connects anew, to a node that goes on.
  var mayEndConnection: Bool {
    // A stream of HTTP/2 is the child of a connection, which is the child of the port; it ends by itself.
    forwarded == nil && channel != nil && channel?.parent?.parent == nil
  }

  /// Returns when the channel has dealt with all that was written: only then does its writability, for which a writer
  /// waits, tell what is on its way. Without it a reader of the disk would be chunks ahead of its client.
  func settle() async { _ = try? await channel?.eventLoop.submit {}.get() }

  /// Tells a client that waits with its body to send it.
  func askForBody() async throws {
    if let forwarded { return try await forwarded.askForBody() }
    try await channel?.triggerUserOutboundEvent(ContinueHandler.BodyWanted()).get()
  }
}
