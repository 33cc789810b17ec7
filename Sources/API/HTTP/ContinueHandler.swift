// Answers `Expect: 100-continue` (RFC 9110 §10.1.1), which neither Hummingbird nor SwiftNIO does.
//
// The handler of the request asks for the interim reply once it wants the body: after the signature was checked, so
// that a refused upload is not sent at all. A final reply without it closes the connection, since the client may or may
// not send the body that was announced.

import HTTPTypes
import NIOCore
import NIOHTTPTypes

final class ContinueHandler: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  /// The outbound event by which a request's handler asks for the body.
  struct BodyWanted: Sendable {}

  /// A client waits for the interim reply.
  private var isAwaited = false
  private var closesAfterReply = false

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      isAwaited = head.headerFields[.expect]?.lowercased() == "100-continue"
    case .body:
      // It did not wait.
      isAwaited = false
    case .end:
      // Of an empty body nothing comes, whether the client waits or not: botocore does, and takes a final reply that
      // comes first for the one of its next request on the connection.
      break
    }
    context.fireChannelRead(data)
  }

  func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
    guard event is BodyWanted else {
      return context.triggerUserOutboundEvent(event, promise: promise)
    }
    guard isAwaited else {
      promise?.succeed()
      return
    }
    isAwaited = false
    context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: promise)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(var head) where isAwaited && head.status.kind != .informational:
      isAwaited = false
      closesAfterReply = true
      head.headerFields[.connection] = "close"
      context.write(wrapOutboundOut(.head(head)), promise: promise)
    case .end where closesAfterReply:
      context.writeAndFlush(data, promise: promise)
      context.close(promise: nil)
    default:
      context.write(data, promise: promise)
    }
  }
}
