// A certificate authority of a cluster: its own self-signed certificate and what it issues.
//
// A leaf is no authority, signs only handshakes and names exactly one identity, which comes from the caller and never
// from the request. Nodes may open and accept connections, clients only open them.

import Base
import COpenSSL

package final class X509Authority {
  package let certificate: X509Certificate
  package let key: X509Key

  /// `name` shows in tools; `validity` is in seconds since 1970.
  package static func make(
    name: String, kind: X509Key.Kind = .ed25519, validity: ClosedRange<Int64>
  ) throws(X509Error) -> X509Authority {
    let key = X509Key.generate(kind)
    let certificate = blank(subject: name, publicKey: key.handle, validity)
    must(X509_set_issuer_name(certificate.handle, X509_get_subject_name(certificate.handle)), "X509_set_issuer_name")
    for (nid, value) in [
      (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"), (NID_key_usage, "critical,keyCertSign,cRLSign"),
      (NID_subject_key_identifier, "hash"),
    ] { extend(certificate, by: certificate, nid, value) }
    precondition(X509_sign(certificate.handle, key.handle, key.digest) > 0, "OpenSSL: X509_sign failed")
    return try X509Authority(certificate: certificate, key: key)
  }

  package init(certificate: X509Certificate, key: X509Key) throws(X509Error) {
    defer { ERR_clear_error() }
    guard X509_check_private_key(certificate.handle, key.handle) == 1, X509_check_ca(certificate.handle) == 1 else {
      throw X509Error(.mismatch, "the key is not that of this authority's certificate")
    }
    self.certificate = certificate
    self.key = key
  }

  /// Issues a certificate for the key of `request` (PEM).
  package func issue(
    _ request: String, for identity: X509Identity, validity: ClosedRange<Int64>
  ) throws(X509Error) -> X509Certificate {
    try issue(
      request, subject: identity.id.description, usage: identity.role == .node ? .server : .client,
      alternatives: "URI:\(identity.uri)", validity)
  }

  /// `alternatives` is in OpenSSL's own notation and was checked by the caller; empty is none.
  func issue(
    _ request: String, subject: String, usage: X509Usage, alternatives: String, _ validity: ClosedRange<Int64>
  ) throws(X509Error) -> X509Certificate {
    try X509Request.withPublicKey(request) { publicKey throws(X509Error) in
      let leaf = Self.blank(subject: subject, publicKey: publicKey, validity)
      must(X509_set_issuer_name(leaf.handle, X509_get_subject_name(certificate.handle)), "X509_set_issuer_name")
      for (nid, value) in [
        (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"),
        (NID_ext_key_usage, usage.extended), (NID_subject_key_identifier, "hash"),
        (NID_authority_key_identifier, "keyid:always"), (NID_subject_alt_name, alternatives),
      ] where !value.isEmpty { Self.extend(leaf, by: certificate, nid, value) }
      precondition(X509_sign(leaf.handle, key.handle, key.digest) > 0, "OpenSSL: X509_sign failed")
      return leaf
    }
  }

  private static func blank(
    subject: String, publicKey: OpaquePointer, _ validity: ClosedRange<Int64>
  ) -> X509Certificate {
    guard let handle = X509_new() else { preconditionFailure("out of memory") }
    let certificate = X509Certificate(adopting: handle)
    must(X509_set_version(handle, 2), "X509_set_version")
    // 127 random bits: positive, as the standard asks.
    var serial = SystemRandom.bytes(16)
    serial[0] &= 0x7f
    serial[0] |= 0x40
    let number = BN_bin2bn(serial, 16, nil)
    defer { BN_free(number) }
    precondition(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(handle)) != nil, "out of memory")
    must(X509_set_pubkey(handle, publicKey), "X509_set_pubkey")
    let name = Array(subject.utf8.prefix(64))
    must(
      X509_NAME_add_entry_by_txt(X509_get_subject_name(handle), "CN", MBSTRING_UTF8, name, Int32(name.count), -1, 0),
      "X509_NAME_add_entry_by_txt")
    for (moment, set) in [(validity.lowerBound, X509_set1_notBefore), (validity.upperBound, X509_set1_notAfter)] {
      let time = ASN1_TIME_set(nil, Int(moment))
      defer { ASN1_TIME_free(time) }
      must(set(handle, time), "X509_set1_notBefore")
    }
    return certificate
  }

  private static func extend(_ leaf: X509Certificate, by issuer: X509Certificate, _ nid: Int32, _ value: String) {
    var context = X509V3_CTX()
    X509V3_set_ctx(&context, issuer.handle, leaf.handle, nil, nil, 0)
    guard let made = X509V3_EXT_conf_nid(nil, &context, nid, value) else {
      preconditionFailure("OpenSSL: extension \(nid) refused")
    }
    defer { X509_EXTENSION_free(made) }
    must(X509_add_ext(leaf.handle, made, -1), "X509_add_ext")
  }
}
