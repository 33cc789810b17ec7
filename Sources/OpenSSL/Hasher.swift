// A message digest fed piece by piece (EVP_MD_CTX). Used by one thread at a time.

import COpenSSL

package final class Hasher: @unchecked Sendable {
  // Invariant: one owner uses it at a time; the context is made in `init` and freed in `deinit`.
  package enum Algorithm: Sendable {
    case sha256
    /// For S3's ETag only; it protects nothing.
    case md5

    /// For S3's additional checksums only, as above.
    case sha1

    package var count: Int {
      switch self {
      case .sha256: 32
      case .sha1: 20
      case .md5: 16
      }
    }

    var handle: OpaquePointer {
      switch self {
      case .sha256: Algorithms.sha256.handle
      case .sha1: Algorithms.sha1.handle
      case .md5: Algorithms.md5.handle
      }
    }
  }

  private let algorithm: Algorithm
  private let context: OpaquePointer

  package init(_ algorithm: Algorithm) {
    self.algorithm = algorithm
    guard let context = EVP_MD_CTX_new() else { preconditionFailure("out of memory") }
    self.context = context
    reset()
  }

  /// Goes on from what `other` has been fed.
  package init(copying other: Hasher) {
    algorithm = other.algorithm
    guard let context = EVP_MD_CTX_new() else { preconditionFailure("out of memory") }
    self.context = context
    must(EVP_MD_CTX_copy_ex(context, other.context), "EVP_MD_CTX_copy_ex")
  }

  deinit { EVP_MD_CTX_free(context) }

  /// Forgets what was fed. The same algorithm again keeps the context's memory.
  package func reset() { must(EVP_DigestInit_ex2(context, algorithm.handle, nil), "EVP_DigestInit_ex2") }

  package func update(_ bytes: RawSpan) {
    bytes.withUnsafeBytes { must(EVP_DigestUpdate(context, $0.baseAddress, $0.count), "EVP_DigestUpdate") }
  }

  package func update(_ bytes: [UInt8]) { update(bytes.span.bytes) }

  /// The digest of all that was fed since the start or the last `finish`; then it starts anew.
  package func finish() -> [UInt8] {
    let count = algorithm.count
    let digest = [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
      must(EVP_DigestFinal_ex(context, buffer.baseAddress, nil), "EVP_DigestFinal_ex")
      used = count
    }
    reset()
    return digest
  }

  /// As `finish`, into memory of at least the digest's length.
  package func finish(into digest: inout MutableRawSpan) {
    precondition(digest.byteCount >= algorithm.count)
    digest.withUnsafeMutableBytes { buffer in
      let start = buffer.baseAddress!.assumingMemoryBound(to: UInt8.self)
      must(EVP_DigestFinal_ex(context, start, nil), "EVP_DigestFinal_ex")
    }
    reset()
  }
}
