// A certificate's DER form, and what renewal and diagnosis ask of one: whose it is, until when, who signed it.

import Base
import COpenSSL

extension X509Certificate {
  /// Exactly one certificate, with nothing behind it.
  package convenience init(der: [UInt8]) throws(X509Error) {
    defer { ERR_clear_error() }
    let handle = der.withUnsafeBufferPointer { bytes -> OpaquePointer? in
      var next = bytes.baseAddress
      guard let handle = d2i_X509(nil, &next, bytes.count) else { return nil }
      guard next == bytes.baseAddress.map({ $0 + bytes.count }) else {
        X509_free(handle)
        return nil
      }
      return handle
    }
    guard let handle else { throw X509Error(.unreadable, "not a certificate in DER") }
    self.init(adopting: handle)
  }

  package var der: [UInt8] {
    let count = Int(i2d_X509(handle, nil))
    precondition(count > 0, "OpenSSL: i2d_X509 failed")
    return [UInt8](unsafeUninitializedCapacity: count) { bytes, used in
      var next = bytes.baseAddress
      used = Int(i2d_X509(handle, &next))
    }
  }

  /// Seconds since 1970.
  package var notBefore: Int64 { validity.lowerBound }
  package var notAfter: Int64 { validity.upperBound }

  /// Lower-case hexadecimal digits, as tools show it, without leading zeros.
  package var serial: String {
    guard let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(handle), nil) else { return "" }
    defer { BN_free(number) }
    var bytes = [UInt8](repeating: 0, count: Int((BN_num_bits(number) + 7) / 8))
    BN_bn2bin(number, &bytes)
    return String(bytes.hex.drop { $0 == "0" })
  }

  /// The last common name of its subject; nil when it has none.
  package var commonName: String? {
    let subject = X509_get_subject_name(handle)
    var (index, last): (Int32, Int32) = (-1, -1)
    while true {
      index = X509_NAME_get_index_by_NID(subject, NID_commonName, index)
      guard index >= 0 else { break }
      last = index
    }
    guard last >= 0, let value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)),
      let data = ASN1_STRING_get0_data(value)
    else { return nil }
    return String(
      validating: UnsafeBufferPointer(start: data, count: Int(ASN1_STRING_length(value))), as: UTF8.self)
  }

  /// Whether a client may know the server by `host`, an IP address or a DNS name.
  package func covers(host: String) -> Bool {
    defer { ERR_clear_error() }
    if X509Authority.isAddress(host) { return X509_check_ip_asc(handle, host, 0) == 1 }
    return X509_check_host(handle, host, host.utf8.count, UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT), nil) == 1
  }

  /// Whether it may be shown to accept (`server`) or only to open connections.
  package func allows(_ usage: X509Usage) -> Bool {
    let wanted = usage == .server ? UInt32(XKU_SSL_SERVER | XKU_SSL_CLIENT) : UInt32(XKU_SSL_CLIENT)
    return X509_get_extended_key_usage(handle) & wanted == wanted
  }

  /// Whether `issuer` signed it. Dates are not looked at.
  package func isIssued(by issuer: X509Certificate) -> Bool {
    defer { ERR_clear_error() }
    guard X509_check_issued(issuer.handle, handle) == X509_V_OK else { return false }
    return X509_verify(handle, X509_get0_pubkey(issuer.handle)) == 1
  }

  package func belongs(to key: X509Key) -> Bool {
    defer { ERR_clear_error() }
    return X509_check_private_key(handle, key.handle) == 1
  }
}
