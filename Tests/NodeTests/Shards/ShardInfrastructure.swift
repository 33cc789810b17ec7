// Certificates of a small cluster, for endpoints that a test makes itself.

import Base
import Glibc
import OpenSSL

struct Infrastructure: Sendable {
  private let authority: TLSCredentials

  init() throws {
    let now = Int64(time(nil))
    let authority = try X509Authority.make(name: "test", validity: (now - 60)...(now + 3600))
    self.authority = TLSCredentials(authorities: [], certificate: authority.certificate.pem, key: authority.key.pem)
  }

  func credentials(_ number: UInt64) throws -> TLSCredentials {
    let signer = try X509Authority(
      certificate: X509Certificate(pem: authority.certificate), key: X509Key(pem: authority.key))
    let key = X509Key.generate()
    let identity = try X509Identity(cluster: "test", region: "eu", id: NodeID(bits: UInt128(number)), role: .node)
    let now = Int64(time(nil))
    let certificate = try signer.issue(X509Request.make(key), for: identity, validity: (now - 60)...(now + 3600))
    return TLSCredentials(authorities: [authority.certificate], certificate: certificate.pem, key: key.pem)
  }
}
