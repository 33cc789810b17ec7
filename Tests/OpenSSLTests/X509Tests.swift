// Certificates, keys and requests: what is read back, what is refused.

import Base
import OpenSSL
import Testing

struct X509Tests {
  @Test("an identity has one spelling; everything else is refused")
  func identity() throws {
    let own = try TLSFixture.identity(1)
    #expect(own.uri == "komora://test/eu/00000000000000000000000000000001/node")
    #expect(X509Identity(uri: own.uri) == own)
    let id = own.id.description
    for text in [
      "", "komora://", "https://test/eu/\(id)/node", "komora://test/eu/\(id)", "komora://test/eu/\(id)/node/",
      "komora://test/eu/\(id)/root", "komora://Test/eu/\(id)/node", "komora:///eu/\(id)/node",
      "komora://test/e u/\(id)/node", "komora://test/eu/\(id.dropLast())/node", "komora://test/eu/\(id)0/node",
      "KOMORA://test/eu/\(id)/node", "komora://test/eu/\(id)/node?x", "komora://test,URI:a/eu/\(id)/node",
      "komora://" + String(repeating: "a", count: 64) + "/eu/\(id)/node",
    ] { #expect(X509Identity(uri: text) == nil, "\(text)") }
    #expect(throws: X509Error.self) { _ = try TLSFixture.identity(1, cluster: "a,b") }
  }

  @Test("a certificate names its identity and dates; key and certificate survive PEM", arguments: X509Key.Kind.allCases)
  func roundTrip(_ kind: X509Key.Kind) throws {
    let fixture = try TLSFixture(kind: kind)
    let identity = try TLSFixture.identity(5, region: "ap-1", role: .client)
    let key = X509Key.generate(kind)
    let leaf = try fixture.authority.issue(X509Request.make(key), for: identity, validity: TLSFixture.current)
    let read = try X509Certificate(pem: leaf.pem)
    #expect(read.identity == identity)
    #expect(read.validity == TLSFixture.current)
    #expect(read.fingerprint == leaf.fingerprint && read.fingerprint != fixture.authority.certificate.fingerprint)
    #expect(fixture.authority.certificate.identity == nil)
    #expect(try X509Key(pem: key.pem).kind == kind)
    let again = try X509Authority(
      certificate: X509Certificate(pem: fixture.authority.certificate.pem), key: X509Key(pem: fixture.authority.key.pem)
    )
    #expect(try again.issue(X509Request.make(key), for: identity, validity: TLSFixture.current).identity == identity)
  }

  @Test("keys, certificates and authorities that do not belong together are refused")
  func mismatch() throws {
    let fixture = try TLSFixture()
    let other = X509Key.generate()
    #expect(throws: X509Error.self) {
      _ = try X509Authority(certificate: fixture.authority.certificate, key: other)
    }
    // A leaf is no authority, even with its own key.
    let leaf = try fixture.credentials(TLSFixture.identity(1))
    #expect(throws: X509Error.self) {
      _ = try X509Authority(certificate: X509Certificate(pem: leaf.certificate), key: X509Key(pem: leaf.key))
    }
    var swapped = leaf
    swapped.key = other.pem
    #expect(throws: X509Error.self) { _ = try TLSContext(swapped) }
    var nameless = leaf
    nameless.certificate = fixture.authority.certificate.pem
    nameless.key = fixture.authority.key.pem
    #expect(throws: X509Error.self) { _ = try TLSContext(nameless) }
    #expect(throws: X509Error.self) { _ = try X509Key(pem: SecretBytes(Array(fixture.authority.certificate.pem.utf8))) }
  }

  @Test("damaged requests, certificates and keys are refused or mean what they said, and never trap")
  func fuzz() throws {
    let fixture = try TLSFixture()
    let key = X509Key.generate()
    let request = Array(X509Request.make(key).utf8)
    let certificate = Array(fixture.authority.certificate.pem.utf8)
    let identity = try TLSFixture.identity(1)
    var random = SeededGenerator(seed: 3)
    var accepted = 0
    for _ in 0..<4000 {
      var (r, c, k) = (request, certificate, key.pem.copy)
      for _ in 0...random.below(2) {
        r[random.below(r.count)] = UInt8(random.below(256))
        c[random.below(c.count)] = UInt8(random.below(256))
        k[random.below(k.count)] = UInt8(random.below(256))
      }
      _ = try? X509Certificate(pem: String(decoding: c, as: UTF8.self)).identity
      _ = try? X509Key(pem: SecretBytes(k))
      let text = String(decoding: r, as: UTF8.self)
      if (try? fixture.authority.issue(text, for: identity, validity: TLSFixture.current)) != nil { accepted += 1 }
    }
    // Only flips outside the base64 text, or in its ignored last bits, leave a request whole.
    #expect(accepted < 400)
  }
}
