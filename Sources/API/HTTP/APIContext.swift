// What is known about a request besides the request: where it came from, and the channel under it.

import Glibc
import Hummingbird
import NIOCore

struct APIContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let channel: any Channel

  init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    channel = source.channel
  }

  var remoteAddress: SocketAddress? { channel.remoteAddress ?? channel.parent?.remoteAddress }

  var isFromLoopback: Bool {
    switch remoteAddress {
    case .v4(let address): address.address.sin_addr.s_addr & 0xff == 127
    case .v6: remoteAddress?.ipAddress == "::1"
    default: false
    }
  }
}
