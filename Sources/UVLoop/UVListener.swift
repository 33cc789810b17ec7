// A TCP socket that listens. Each connection is handed over before a byte of it is read.

internal import CLibuv

package final class UVListener: UVHandle {
  private var onConnection: ((UVConnection) -> Void)?
  /// Connections that could not be accepted, or came when nobody wanted them.
  package private(set) var failed = 0

  /// `accepted` sets the connection's handlers and starts reading, or closes it.
  package init(
    on loop: UVLoop, bind address: SocketAddress, backlog: Int = 128, accepted: @escaping (UVConnection) -> Void
  ) throws(UVError) {
    onConnection = accepted
    try super.init(UV_TCP, on: loop) { raw, memory in uv_tcp_init(raw, memory.assumingMemoryBound(to: uv_tcp_t.self)) }
    do throws(UVError) {
      let flags = address.isIPv6 ? UInt32(UV_TCP_IPV6ONLY.rawValue) : 0
      try check(address.withSystemAddress { uv_tcp_bind(socket, $0, flags) }, "bind \(address)")
      let status = uv_listen(memory.assumingMemoryBound(to: uv_stream_t.self), Int32(clamping: backlog)) {
        stream, status in
        let owner = Unmanaged<UVListener>.fromOpaque(stream!.pointee.data).takeUnretainedValue()
        owner.core.call { owner.accept(status) }
      }
      try check(status, "listen on \(address)")
    } catch {
      close()
      throw error
    }
  }

  private var socket: UnsafeMutablePointer<uv_tcp_t> { memory.assumingMemoryBound(to: uv_tcp_t.self) }

  package var address: SocketAddress? {
    guard isOpen else { return nil }
    return systemAddress { uv_tcp_getsockname(self.socket, $0, $1) }
  }

  private func accept(_ status: Int32) {
    guard status == 0, let onConnection, let connection = try? UVConnection(on: loop) else {
      failed += 1
      return
    }
    guard uv_accept(memory.assumingMemoryBound(to: uv_stream_t.self), connection.stream) == 0 else {
      failed += 1
      return connection.close()
    }
    connection.opened()
    onConnection(connection)
  }

  override func released() { onConnection = nil }
}
