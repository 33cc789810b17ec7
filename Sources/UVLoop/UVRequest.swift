// A request in flight (uv_write_t, uv_udp_send_t, …) with a copy of the bytes that it sends.
//
// libuv holds it between the start and its one callback; that callback releases it.

internal import CLibuv

final class UVRequest<Raw> {
  let raw: UnsafeMutablePointer<Raw>
  var buffer: uv_buf_t
  private let bytes: UnsafeMutableRawBufferPointer
  private let done: (Int32) -> Void

  /// `done` hears the status, once.
  init(copying slice: ArraySlice<UInt8> = [], _ done: @escaping (Int32) -> Void) {
    raw = .allocate(capacity: 1)
    bytes = .allocate(byteCount: max(slice.count, 1), alignment: 1)
    bytes.copyBytes(from: slice)
    buffer = uv_buf_init(bytes.baseAddress!.assumingMemoryBound(to: CChar.self), UInt32(slice.count))
    self.done = done
  }

  deinit {
    raw.deallocate()
    bytes.deallocate()
  }

  /// For the request's data field, when libuv has taken it.
  func retained() -> UnsafeMutableRawPointer { Unmanaged.passRetained(self).toOpaque() }

  static func finish(_ data: UnsafeMutableRawPointer, _ status: Int32) {
    Unmanaged<UVRequest<Raw>>.fromOpaque(data).takeRetainedValue().done(status)
  }
}
