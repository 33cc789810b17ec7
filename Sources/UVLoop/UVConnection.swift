// A TCP connection: reading from `startReading` on, writing that says how much waits, and an end that is reported once.
//
// A write goes out at once as far as the system takes it; the rest is copied and queued, and its completion says when
// it has left. `queuedBytes` bounds what a slow reader may cost: beyond `queuedBytesMax` a write is refused whole.

internal import CLibuv
internal import Glibc

package final class UVConnection: UVHandle {
  package struct Handlers {
    package var connected: () -> Void = {}
    /// Lends what arrived, at most 64 KiB; copy what is kept.
    package var received: (RawSpan) -> Void = { _ in }
    /// The peer sends no more; writing still works.
    package var ended: () -> Void = {}
    /// Once, after everything else; nil when this side closed it.
    package var closed: (UVError?) -> Void = { _ in }

    package init() {}
  }

  package enum Outcome: Equatable, Sendable {
    case sent
    case queued
    /// Over the limit, not open yet, or closed; nothing was taken.
    case refused
  }

  package var handlers = Handlers()
  package var queuedBytesMax = 4 << 20
  package private(set) var queuedBytes = 0
  package private(set) var isConnected = false
  private var failure: UVError?
  /// Runs while the last writes may still leave.
  private var closing: UVTimer?
  /// The peer's end is waited for, not only the own writes.
  private var isLingering = false

  init(on loop: UVLoop) throws(UVError) {
    try super.init(UV_TCP, on: loop) { raw, memory in uv_tcp_init(raw, memory.assumingMemoryBound(to: uv_tcp_t.self)) }
  }

  /// Begins to connect; `connected` or `closed` follows. A deadline is up to the caller, who closes.
  package convenience init(
    on loop: UVLoop, to address: SocketAddress, from source: SocketAddress? = nil, handlers: Handlers
  ) throws(UVError) {
    try self.init(on: loop)
    self.handlers = handlers
    do throws(UVError) {
      if let source { try check(source.withSystemAddress { uv_tcp_bind(tcp, $0, 0) }, "bind \(source)") }
      let request = UVRequest<uv_connect_t> { [self] status in connected(status, address) }
      let status = address.withSystemAddress { target in
        uv_tcp_connect(request.raw, tcp, target) { raw, status in
          UVRequest<uv_connect_t>.finish(raw!.pointee.data, status)
        }
      }
      try check(status, "connect to \(address)")
      request.raw.pointee.data = request.retained()
    } catch {
      // The caller hears of it by the throw alone.
      self.handlers = Handlers()
      close()
      throw error
    }
  }

  private var tcp: UnsafeMutablePointer<uv_tcp_t> { memory.assumingMemoryBound(to: uv_tcp_t.self) }
  var stream: UnsafeMutablePointer<uv_stream_t> { memory.assumingMemoryBound(to: uv_stream_t.self) }

  package var localAddress: SocketAddress? {
    isOpen ? systemAddress { uv_tcp_getsockname(self.tcp, $0, $1) } : nil
  }
  package var peerAddress: SocketAddress? {
    isOpen ? systemAddress { uv_tcp_getpeername(self.tcp, $0, $1) } : nil
  }

  private func connected(_ status: Int32, _ address: SocketAddress) {
    guard isOpen else { return }
    guard status == 0 else { return fail(UVError(status, "connect to \(address)")) }
    core.call {
      opened()
      handlers.connected()
    }
  }

  /// Small frames leave at once, and what is urgent stands behind 128 KiB in the system that were not sent yet at most;
  /// a dead peer is noticed by keepalive (10 s idle) and by unacknowledged data (10 s).
  func opened() {
    isConnected = true
    uv_tcp_nodelay(tcp, 1)
    uv_tcp_keepalive(tcp, 1, 10)
    var descriptor: uv_os_fd_t = -1
    var (patience, unsent): (UInt32, UInt32) = (10_000, 128 << 10)
    if uv_fileno(handle, &descriptor) == 0 {
      setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &patience, 4)
      setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, &unsent, 4)
    }
  }

  package func startReading() {
    loop.assertCurrent()
    guard isOpen, isConnected else { return }
    let status = uv_read_start(
      stream,
      { handle, _, target in UVHandle.owner(of: handle!).core.lend(target!) },
      { stream, count, buffer in
        let owner = Unmanaged<UVConnection>.fromOpaque(stream!.pointee.data).takeUnretainedValue()
        owner.core.call { owner.received(count, buffer!.pointee.base) }
      })
    // EALREADY: it was reading.
    if status < 0, status != UV_EALREADY.rawValue { fail(UVError(status, "read")) }
  }

  private func received(_ count: Int, _ base: UnsafePointer<CChar>?) {
    if count == 0 { return }
    guard count < 0 else {
      return handlers.received(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: base, count: count)))
    }
    if count == Int(UV_EOF.rawValue) {
      uv_read_stop(stream)
      handlers.ended()
    } else {
      fail(UVError(Int32(count), "read"))
    }
  }

  /// Takes all of `bytes` or none. `completion` runs when the system has them, which may be before this returns.
  @discardableResult
  package func write(_ bytes: [UInt8], completion: ((UVError?) -> Void)? = nil) -> Outcome {
    loop.assertCurrent()
    guard isOpen, isConnected, closing == nil else { return .refused }
    guard queuedBytes == 0 || queuedBytes + bytes.count <= queuedBytesMax else {
      return .refused
    }
    let taken = bytes.isEmpty ? 0 : tryWrite(bytes)
    if taken < 0, taken != UV_EAGAIN.rawValue {
      let error = UVError(taken, "write")
      fail(error)
      completion?(error)
      return .refused
    }
    guard taken < bytes.count else {
      completion?(nil)
      return .sent
    }
    queue(bytes[max(Int(taken), 0)...], completion)
    return .queued
  }

  private func tryWrite(_ bytes: [UInt8]) -> Int32 {
    bytes.withUnsafeBytes { raw in
      var buffer = uv_buf_init(
        UnsafeMutableRawPointer(mutating: raw.baseAddress)?.assumingMemoryBound(to: CChar.self), UInt32(raw.count))
      return uv_try_write(stream, &buffer, 1)
    }
  }

  private func queue(_ rest: ArraySlice<UInt8>, _ completion: ((UVError?) -> Void)?) {
    let request = UVRequest<uv_write_t>(copying: rest) { [self] status in
      core.call { written(rest.count, status, completion) }
    }
    queuedBytes += rest.count
    let status = uv_write(request.raw, stream, &request.buffer, 1) { raw, status in
      UVRequest<uv_write_t>.finish(raw!.pointee.data, status)
    }
    if status == 0 { request.raw.pointee.data = request.retained() } else { written(rest.count, status, completion) }
  }

  private func written(_ count: Int, _ status: Int32, _ completion: ((UVError?) -> Void)?) {
    queuedBytes -= count
    completion?(status == 0 ? nil : UVError(status, "write"))
    guard isOpen else { return }
    if status < 0 { return fail(UVError(status, "write")) }
    if closing != nil, !isLingering, queuedBytes == 0 { return close() }
  }

  /// Says to the peer that no more comes, after what is queued.
  package func shutdown() {
    loop.assertCurrent()
    guard isOpen, isConnected else { return }
    let request = UVRequest<uv_shutdown_t> { [self] status in
      if status < 0, isOpen { fail(UVError(status, "shut down")) }
    }
    let status = uv_shutdown(request.raw, stream) { raw, status in
      UVRequest<uv_shutdown_t>.finish(raw!.pointee.data, status)
    }
    if status == 0 { request.raw.pointee.data = request.retained() }
  }

  /// Closes when what is queued has left, at the latest after `patience`: a peer that reads nothing cannot hold it.
  package func closeAfterWrites(patience: Duration = .seconds(1)) {
    loop.assertCurrent()
    guard isOpen else { return }
    uv_read_stop(stream)
    guard queuedBytes > 0, let timer = try? UVTimer(on: loop, onFire: { [weak self] _ in self?.close() }) else {
      return close()
    }
    timer.start(after: patience)
    closing = timer
  }

  /// Ends this side's half after what is queued and closes when the peer has ended its own, at the latest after
  /// `patience`. What still arrives is read and dropped: a close over unread bytes resets the connection, and the peer
  /// might never read what was said last.
  package func closeAfterPeer(patience: Duration = .seconds(1)) {
    loop.assertCurrent()
    guard isOpen, closing == nil else { return }
    guard isConnected, let timer = try? UVTimer(on: loop, onFire: { [weak self] _ in self?.close() }) else {
      return close()
    }
    handlers.received = { _ in }
    handlers.ended = { [weak self] in self?.close() }
    isLingering = true
    closing = timer
    timer.start(after: patience)
    shutdown()
    startReading()
  }

  private func fail(_ error: UVError) {
    if failure == nil { failure = error }
    close()
  }

  override func closeForStop() {
    if isOpen { fail(.closed("loop")) }
  }

  override func released() {
    closing?.close()
    closing = nil
    let last = handlers
    handlers = Handlers()
    last.closed(failure)
  }
}
