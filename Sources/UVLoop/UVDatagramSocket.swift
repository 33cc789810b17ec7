// A UDP socket: bound, receiving into the loop's one buffer, sending at once or from a bounded queue.
//
// A datagram that finds the system's buffer full waits in the queue; one that finds the queue full is dropped and
// counted, as the network itself would do. Order is kept per socket.

internal import CLibuv
internal import Glibc

package final class UVDatagramSocket: UVHandle {
  package enum Outcome: Equatable, Sendable {
    case sent
    case queued
    /// The queue is full, the datagram too long or the socket closed.
    case dropped
    case failed(UVError)
  }

  /// The largest payload that IPv4 carries.
  package static let datagramBytesMax = 65_507

  package let queuedBytesMax: Int
  package private(set) var queuedBytes = 0
  package private(set) var dropped = 0
  /// Received datagrams that were longer than the buffer, or came with an error of the system.
  package private(set) var damaged = 0
  private var onDatagram: ((RawSpan, SocketAddress) -> Void)?

  /// Binds to `address`; port 0 draws a free one. `received` lends each datagram; the bytes must be copied to be kept.
  package init(
    on loop: UVLoop, bind address: SocketAddress, queuedBytesMax: Int = 1 << 20,
    received: @escaping (RawSpan, SocketAddress) -> Void
  ) throws(UVError) {
    self.queuedBytesMax = queuedBytesMax
    onDatagram = received
    try super.init(UV_UDP, on: loop) { raw, memory in
      uv_udp_init(raw, memory.assumingMemoryBound(to: uv_udp_t.self))
    }
    do throws(UVError) {
      let flags = address.isIPv6 ? UInt32(UV_UDP_IPV6ONLY.rawValue) : 0
      try check(address.withSystemAddress { uv_udp_bind(socket, $0, flags) }, "bind \(address)")
      try startReceiving()
    } catch {
      close()
      throw error
    }
  }

  private var socket: UnsafeMutablePointer<uv_udp_t> { memory.assumingMemoryBound(to: uv_udp_t.self) }

  /// Where it is bound.
  package var address: SocketAddress? {
    guard isOpen else { return nil }
    return systemAddress { uv_udp_getsockname(self.socket, $0, $1) }
  }

  private func startReceiving() throws(UVError) {
    guard isOpen else { throw .closed("receive") }
    let status = uv_udp_recv_start(
      socket,
      { handle, _, target in UVHandle.owner(of: handle!).core.lend(target!) },
      { handle, count, buffer, sender, flags in
        let owner = Unmanaged<UVDatagramSocket>.fromOpaque(handle!.pointee.data).takeUnretainedValue()
        owner.received(count, buffer!.pointee.base, sender, flags)
      })
    try check(status, "receive")
  }

  private func received(
    _ count: Int, _ base: UnsafePointer<CChar>?, _ sender: UnsafePointer<sockaddr>?, _ flags: UInt32
  ) {
    if count == 0, sender == nil { return }
    guard count >= 0, flags & UInt32(UV_UDP_PARTIAL.rawValue) == 0, let sender, let base,
      let from = SocketAddress(system: sender)
    else {
      damaged += 1
      return
    }
    let bytes = UnsafeRawBufferPointer(start: base, count: count)
    core.call { onDatagram?(RawSpan(_unsafeBytes: bytes), from) }
  }

  package func send(_ bytes: [UInt8], to address: SocketAddress) -> Outcome {
    loop.assertCurrent()
    guard isOpen, bytes.count <= Self.datagramBytesMax else { return drop() }
    let status = bytes.withUnsafeBytes { raw in
      var buffer = uv_buf_init(
        UnsafeMutableRawPointer(mutating: raw.baseAddress)?.assumingMemoryBound(to: CChar.self), UInt32(raw.count))
      return address.withSystemAddress { uv_udp_try_send(socket, &buffer, 1, $0) }
    }
    if status >= 0 { return .sent }
    guard status == UV_EAGAIN.rawValue else { return .failed(UVError(status, "send to \(address)")) }
    guard queuedBytes + bytes.count <= queuedBytesMax else { return drop() }
    return queue(bytes, address)
  }

  private func drop() -> Outcome {
    dropped += 1
    return .dropped
  }

  private func queue(_ bytes: [UInt8], _ address: SocketAddress) -> Outcome {
    let request = UVRequest<uv_udp_send_t>(copying: bytes[...]) { [self] _ in queuedBytes -= bytes.count }
    let status = address.withSystemAddress { target in
      uv_udp_send(request.raw, socket, &request.buffer, 1, target) { raw, status in
        UVRequest<uv_udp_send_t>.finish(raw!.pointee.data, status)
      }
    }
    guard status == 0 else { return .failed(UVError(status, "send to \(address)")) }
    request.raw.pointee.data = request.retained()
    queuedBytes += bytes.count
    return .queued
  }

  override func released() { onDatagram = nil }
}

extension UVHandle {
  /// Asks the system for one of a socket's two addresses.
  func systemAddress(_ ask: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<Int32>) -> Int32) -> SocketAddress? {
    var storage = sockaddr_storage()
    var length = Int32(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutableBytes(of: &storage) { raw in
      let address = raw.baseAddress!.assumingMemoryBound(to: sockaddr.self)
      return ask(address, &length) == 0 ? SocketAddress(system: address) : nil
    }
  }
}
