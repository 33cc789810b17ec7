// Key material: memory that is locked where the system allows it, left out of core dumps, and wiped when it goes.
//
// It lies on OpenSSL's secure heap (guard pages, mlock, MADV_DONTDUMP). When that is full, or the limit of locked memory
// is small, it lies on the ordinary heap and is wiped all the same. It protects against swap, dumps and stale memory,
// not against a debugger.

import COpenSSL

package final class SecretBytes: @unchecked Sendable {
  // Invariant: the bytes are written only in `init`, before anyone else holds the object.
  private let memory: UnsafeMutableRawPointer
  package let count: Int

  /// 1 MiB of slots of at least 32 bytes. Result 2 says that mlock was refused; the heap works without it.
  private static let heap: Bool = CRYPTO_secure_malloc_init(1 << 20, 32) > 0

  /// Fills `count` bytes by `body`.
  package init<E: Error>(count: Int, filledBy body: (inout MutableRawSpan) throws(E) -> Void) throws(E) {
    _ = Self.heap
    // OpenSSL makes its own keys, each TLS handshake's too, on this heap and has no other: the last quarter is theirs.
    let locked = CRYPTO_secure_used() < 3 << 18 ? CRYPTO_secure_malloc(max(count, 1), nil, 0) : nil
    guard let memory = locked ?? CRYPTO_malloc(max(count, 1), nil, 0) else {
      preconditionFailure("out of memory")
    }
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: count)
    self.memory = memory
    self.count = count
    var span = MutableRawSpan(_unsafeBytes: UnsafeMutableRawBufferPointer(start: memory, count: count))
    try body(&span)
  }

  /// Copies `bytes`; wiping the original is up to the caller.
  package convenience init(copying bytes: RawSpan) {
    self.init(count: bytes.byteCount) { span in
      bytes.withUnsafeBytes { from in span.withUnsafeMutableBytes { $0.copyMemory(from: from) } }
    }
  }

  package convenience init(_ bytes: [UInt8]) { self.init(copying: bytes.span.bytes) }

  /// Takes `bytes` over and wipes them.
  package convenience init(wiping bytes: inout [UInt8]) {
    self.init(copying: bytes.span.bytes)
    wipe(&bytes)
  }

  /// `count` bytes from the system's generator.
  package static func random(_ count: Int) -> SecretBytes {
    SecretBytes(count: count) { span in SystemRandom.fill(&span) }
  }

  // CRYPTO_secure_clear_free knows its own slots and hands everything else to the ordinary heap.
  deinit { CRYPTO_secure_clear_free(memory, count, nil, 0) }

  /// Lends the bytes; they must not leave `body`.
  package func with<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try body(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: memory, count: count)))
  }

  /// An ordinary copy, for sealing into a file. Wipe it after use.
  package var copy: [UInt8] { [UInt8](UnsafeRawBufferPointer(start: memory, count: count)) }
}

extension SecretBytes: CustomStringConvertible {
  /// Never the content.
  package var description: String { "secret of \(count) bytes" }
}

/// Overwrites `bytes` in a way that the compiler does not remove, then empties the array.
package func wipe(_ bytes: inout [UInt8]) {
  bytes.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
  bytes = []
}

/// Compares in time that depends on the length only; different lengths are unequal.
package func constantTimeEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
  a.count == b.count && CRYPTO_memcmp(a, b, a.count) == 0
}
