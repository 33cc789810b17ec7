// The CA of a development node and its server certificate: P-256, PEM, keys readable by their owner only.
//
// The CA lasts ten years and is kept; the server's certificate lasts 397 days, which every client accepts, and is made
// anew a month before its end.

import Crypto
import Foundation
import SwiftASN1
import X509

enum DevCertificates {
  static let renewBefore: TimeInterval = 30 * 86_400

  /// Makes what is missing or about to end.
  static func prepare(_ layout: DevLayout, now: Date = Date()) throws(CommandFailure) {
    do {
      let ca = try certificate(layout.ca) ?? makeCA(layout, now)
      let key = try privateKey(layout.caKey)
      let server = try certificate(layout.server)
      if let server, server.issuer == ca.subject, server.notValidAfter > now.addingTimeInterval(renewBefore) { return }
      try makeServer(layout, ca, key, now)
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      throw CommandFailure(.failed, "cannot make certificates below \(layout.root)/ca: \(error)")
    }
  }

  private static func certificate(_ path: String) throws -> Certificate? {
    guard let data = FileManager.default.contents(atPath: path) else { return nil }
    return try Certificate(pemEncoded: String(decoding: data, as: UTF8.self))
  }

  private static func privateKey(_ path: String) throws -> P256.Signing.PrivateKey {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw CommandFailure(.failed, "\(path) is missing beside its certificate: put it back, or remove both")
    }
    return try P256.Signing.PrivateKey(pemRepresentation: String(decoding: data, as: UTF8.self))
  }

  private static func makeCA(_ layout: DevLayout, _ now: Date) throws -> Certificate {
    let key = P256.Signing.PrivateKey()
    let name = try DistinguishedName { CommonName("Komora development CA") }
    let certificate = try Certificate(
      version: .v3, serialNumber: .init(), publicKey: .init(key.publicKey),
      notValidBefore: now.addingTimeInterval(-300), notValidAfter: now.addingTimeInterval(3650 * 86_400), issuer: name,
      subject: name, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: try Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
        Critical(KeyUsage(keyCertSign: true, cRLSign: true))
        SubjectKeyIdentifier(hash: .init(key.publicKey))
      }, issuerPrivateKey: .init(key))
    // The key first: a certificate without its key would be of no use.
    try PrivateFile.write(layout.caKey, Array(key.pemRepresentation.utf8))
    try PrivateFile.write(layout.ca, Array(try certificate.serializeAsPEM().pemString.utf8))
    return certificate
  }

  private static func makeServer(
    _ layout: DevLayout, _ ca: Certificate, _ caKey: P256.Signing.PrivateKey, _ now: Date
  ) throws {
    let key = P256.Signing.PrivateKey()
    let certificate = try Certificate(
      version: .v3, serialNumber: .init(), publicKey: .init(key.publicKey),
      notValidBefore: now.addingTimeInterval(-300), notValidAfter: now.addingTimeInterval(397 * 86_400),
      issuer: ca.subject, subject: try DistinguishedName { CommonName("localhost") },
      signatureAlgorithm: .ecdsaWithSHA256,
      extensions: try Certificate.Extensions {
        Critical(BasicConstraints.notCertificateAuthority)
        Critical(KeyUsage(digitalSignature: true))
        try ExtendedKeyUsage([.serverAuth])
        SubjectAlternativeNames([
          .dnsName("localhost"), .ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1])),
          .ipAddress(ASN1OctetString(contentBytes: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
        ])
        AuthorityKeyIdentifier(keyIdentifier: SubjectKeyIdentifier(hash: .init(caKey.publicKey)).keyIdentifier)
        SubjectKeyIdentifier(hash: .init(key.publicKey))
      }, issuerPrivateKey: .init(caKey))
    try PrivateFile.write(layout.serverKey, Array(key.pemRepresentation.utf8))
    try PrivateFile.write(layout.server, Array(try certificate.serializeAsPEM().pemString.utf8))
  }
}
