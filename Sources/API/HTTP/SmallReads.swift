// Keeps what a connection holds in memory small when its client is faster than the disk.
//
// What waits between channel and request is counted in pieces, whatever their size; a piece is all that one turn of the
// loop has read. So reads are small, and each is passed on before the next. For channels of sockets only: a stream of
// HTTP/2 has its own window.

import NIOCore

final class SmallReads: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = NIOAny

  private static let readBytes = 32 << 10

  func handlerAdded(context: ChannelHandlerContext) {
    let options = context.channel.syncOptions
    do {
      try options?.setOption(ChannelOptions.maxMessagesPerRead, value: 1)
      try options?.setOption(
        ChannelOptions.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.readBytes))
    } catch { context.fireErrorCaught(error) }
  }
}
