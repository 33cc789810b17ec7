// A memory BIO: the way PEM and TLS bytes go in and out of OpenSSL.

import COpenSSL

final class X509Memory {
  let handle: OpaquePointer

  init() {
    guard let handle = BIO_new(BIO_s_mem()) else { preconditionFailure("out of memory") }
    self.handle = handle
  }

  convenience init(_ bytes: RawSpan) {
    self.init()
    write(bytes)
  }

  convenience init(_ text: String) { self.init(Array(text.utf8).span.bytes) }

  // What was in it may have been a key: BIO_free clears nothing, so it is overwritten first.
  deinit {
    var start: UnsafePointer<UInt8>?
    let count = komora_memory(handle, &start)
    if let start { OPENSSL_cleanse(UnsafeMutableRawPointer(mutating: start), count) }
    BIO_free(handle)
  }

  func write(_ bytes: RawSpan) {
    bytes.withUnsafeBytes { raw in
      guard raw.count > 0 else { return }
      var written = 0
      precondition(BIO_write_ex(handle, raw.baseAddress, raw.count, &written) == 1, "out of memory")
    }
  }

  /// Lends the BIO to a reader of OpenSSL; a temporary would be gone before the reader has begun.
  func read(_ reader: (OpaquePointer) -> OpaquePointer?) -> OpaquePointer? {
    withExtendedLifetime(self) { reader(handle) }
  }

  var count: Int { BIO_ctrl_pending(handle) }

  /// Lends what is in it.
  func with<R>(_ body: (RawSpan) -> R) -> R {
    withExtendedLifetime(self) {
      var start: UnsafePointer<UInt8>?
      let count = komora_memory(handle, &start)
      return body(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: start, count: count)))
    }
  }

  /// Takes out everything that is in it.
  func take() -> [UInt8] {
    let count = count
    guard count > 0 else { return [] }
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
      _ = BIO_read_ex(handle, buffer.baseAddress, count, &used)
    }
  }

  var text: String { with { $0.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } } }
}
