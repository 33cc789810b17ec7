// OpenSSL's error numbers as the few reasons that an operator can act on.

import COpenSSL

extension TLSSession {
  static func closure(reason: Int32, verified: Int) -> TLSClosure {
    switch reason {
    case SSL_R_CERTIFICATE_VERIFY_FAILED: return closure(verified: verified)
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return .noCertificate
    case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_WRONG_SSL_VERSION, SSL_R_NO_PROTOCOLS_AVAILABLE,
      SSL_R_VERSION_TOO_LOW, SSL_AD_REASON_OFFSET + SSL_AD_PROTOCOL_VERSION:
      return .downgraded
    case SSL_R_NO_APPLICATION_PROTOCOL: return .foreignProtocol
    case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST: return .plaintext
    case SSL_AD_REASON_OFFSET...(SSL_AD_REASON_OFFSET + 255): return .refusedByPeer
    default: return .damaged
    }
  }

  static func closure(verified: Int) -> TLSClosure {
    switch Int32(truncatingIfNeeded: verified) {
    case X509_V_ERR_CERT_HAS_EXPIRED: .expired
    case X509_V_ERR_CERT_NOT_YET_VALID: .notYetValid
    case X509_V_ERR_INVALID_PURPOSE, X509_V_ERR_UNSUPPORTED_NAME_SYNTAX: .wrongPurpose
    default: .foreignAuthority
    }
  }
}
