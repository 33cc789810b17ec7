// Keeps what a connection holds in memory small when its client is faster than the disk, or slower.
//
// What waits between channel and request is counted in pieces, whatever their size; a piece is all that one turn of the
// loop has read. So reads are small, and each is passed on before the next. On the way out the kernel would take
// megabytes for a client that reads nothing: it takes no more than what the network can carry, and a little. For channels
// of sockets only: a stream of HTTP/2 has its own window.

import Glibc
import NIOCore

final class SmallBuffers: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = NIOAny

  private static let readBytes = 32 << 10
  private static let unsentBytes: SocketOptionValue = 128 << 10

  func handlerAdded(context: ChannelHandlerContext) {
    let options = context.channel.syncOptions
    do {
      try options?.setOption(ChannelOptions.maxMessagesPerRead, value: 1)
      try options?.setOption(
        ChannelOptions.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.readBytes))
      try options?.setOption(.tcpOption(.init(rawValue: TCP_NOTSENT_LOWAT)), value: Self.unsentBytes)
    } catch { context.fireErrorCaught(error) }
  }
}
