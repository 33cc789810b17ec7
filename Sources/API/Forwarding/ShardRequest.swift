// One request of an account, as it looks for the node that answers it.

import Base
import Formats
import HTTPTypes
import Hummingbird
import NIOCore
import Node

struct ShardRequest: Sendable {
  var surface: ForwardedRequest.Surface
  /// With `body` in it, where that is in memory.
  var request: Request
  var context: APIContext
  /// All zeros for a request that needs no shard.
  var account: AccountID
  /// The whole body; nil while it is still to come from the client, which it can only once.
  var body: ByteBuffer?
  /// What a client asked for that need not see the newest; nil for anything that may write.
  var demand: ReadDemand?
  /// Whether doing it a second time does no harm; asked when a first attempt was lost.
  var isRepeatable: @Sendable () -> Bool

  var hops: UInt8 { context.forwarded?.request.hops ?? 0 }

  /// The client waits for an interim reply before it sends its body.
  var waitsWithBody: Bool {
    body == nil && (context.forwarded?.request.waitsWithBody ?? request.headers.expectsContinue)
  }

  func head(
    to epoch: UInt64, until deadline: ContinuousClock.Instant
  ) -> ForwardedRequest {
    let left = max((deadline - .now).wholeNanoseconds / 1_000_000, 1)
    return ForwardedRequest(
      surface: surface, hops: hops + 1, waitsWithBody: waitsWithBody, deadlineMilliseconds: UInt32(clamping: left),
      account: account, epoch: epoch, method: request.method.rawValue, target: request.head.path ?? "/",
      authority: request.head.authority ?? "", client: context.clientAddress ?? "",
      fields: PassedFields.ofRequest(request.headers))
  }
}

extension HTTPFields {
  var expectsContinue: Bool { self[.expect]?.lowercased() == "100-continue" }
}
