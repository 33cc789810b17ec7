// A certificate as it is read from PEM or shown by a peer.

import COpenSSL
import Glibc

package final class X509Certificate {
  let handle: OpaquePointer

  init(adopting handle: OpaquePointer) { self.handle = handle }

  package init(pem: String) throws(X509Error) {
    defer { ERR_clear_error() }
    guard let handle = X509Memory(pem).read({ PEM_read_bio_X509($0, nil, nil, nil) }) else {
      throw X509Error(.unreadable, "not a certificate in PEM")
    }
    self.handle = handle
  }

  deinit { X509_free(handle) }

  package var pem: String {
    let memory = X509Memory()
    must(PEM_write_bio_X509(memory.handle, handle), "PEM_write_bio_X509")
    return memory.text
  }

  /// Nil unless its only alternative name is one of ours.
  package var identity: X509Identity? {
    guard let raw = X509_get_ext_d2i(handle, NID_subject_alt_name, nil, nil) else { return nil }
    let names = OpaquePointer(raw)
    defer { GENERAL_NAMES_free(names) }
    guard let uri = komora_only_uri(names), let data = ASN1_STRING_get0_data(uri) else { return nil }
    let bytes = UnsafeBufferPointer(start: data, count: Int(ASN1_STRING_length(uri)))
    guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
    return X509Identity(uri: text)
  }

  /// Seconds since 1970 of its first and last valid moment.
  package var validity: ClosedRange<Int64> {
    let from = Self.seconds(X509_get0_notBefore(handle))
    return from...max(from, Self.seconds(X509_get0_notAfter(handle)))
  }

  /// SHA-256 of its DER form: what a join token pins.
  package var fingerprint: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 32)
    var count: UInt32 = 0
    must(X509_digest(handle, EVP_sha256(), &bytes, &count), "X509_digest")
    return bytes
  }

  private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64 {
    var parts = tm()
    guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return 0 }
    return Int64(timegm(&parts))
  }
}
