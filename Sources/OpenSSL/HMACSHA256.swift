// HMAC with SHA-256 (RFC 2104, FIPS 198-1) on a context that each thread keeps.

import COpenSSL

package enum HMACSHA256 {
  // Invariant of the per-thread context: only its own thread touches it.
  private final class Context {
    let handle: OpaquePointer

    init() {
      guard let handle = EVP_MAC_CTX_new(Algorithms.hmac.handle) else { preconditionFailure("out of memory") }
      self.handle = handle
      var name = Array("SHA2-256".utf8CString)
      // The parameter keeps both pointers, so both texts must live through the call.
      let field = Array("digest".utf8CString)
      field.withUnsafeBufferPointer { field in
        name.withUnsafeMutableBufferPointer { text in
          let parameters = [
            OSSL_PARAM_construct_utf8_string(field.baseAddress, text.baseAddress, 0), OSSL_PARAM_construct_end(),
          ]
          must(EVP_MAC_CTX_set_params(handle, parameters), "EVP_MAC_CTX_set_params")
        }
      }
    }

    deinit { EVP_MAC_CTX_free(handle) }
  }

  private static let contexts = PerThread { Context() }

  /// 32 bytes.
  package static func authenticate(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
    authenticate(bytes.span.bytes, key: key.span.bytes)
  }

  package static func authenticate(_ bytes: RawSpan, key: SecretBytes) -> [UInt8] {
    key.with { authenticate(bytes, key: $0) }
  }

  package static func authenticate(_ bytes: RawSpan, key: RawSpan) -> [UInt8] {
    let context = contexts.value.handle
    key.withUnsafeBytes { raw in
      // A nil key would mean "the key of last time", so an empty one still needs an address.
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1) { empty in
        let start = raw.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? UnsafePointer(empty.baseAddress!)
        must(EVP_MAC_init(context, start, raw.count, nil), "EVP_MAC_init")
      }
    }
    bytes.withUnsafeBytes { raw in
      guard raw.count > 0 else { return }
      must(EVP_MAC_update(context, raw.baseAddress!.assumingMemoryBound(to: UInt8.self), raw.count), "EVP_MAC_update")
    }
    return [UInt8](unsafeUninitializedCapacity: 32) { buffer, used in
      must(EVP_MAC_final(context, buffer.baseAddress, &used, 32), "EVP_MAC_final")
    }
  }
}
