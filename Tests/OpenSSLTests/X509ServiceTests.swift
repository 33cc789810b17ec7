// Certificates for other software, and what renewal reads from any certificate.

import Base
import OpenSSL
import Testing

struct X509ServiceTests {
  private func authority(_ name: String = "etcd clients") throws -> X509Authority {
    try X509Authority.make(name: name, kind: .p256, validity: TLSFixture.current)
  }

  private func issue(
    _ authority: X509Authority, _ usage: X509Usage, _ hosts: [String], name: String = "eu-1"
  ) throws -> X509Certificate {
    try authority.issue(
      X509Request.make(.generate(.p256)), name: name, usage: usage, hosts: hosts, validity: TLSFixture.current)
  }

  @Test("a server's certificate names its hosts, may be a client too, and is no identity of the fabric")
  func server() throws {
    let (authority, other) = (try authority(), try authority())
    let leaf = try issue(authority, .server, ["10.0.0.1", "fd00::1", "eu-1.example.net"])
    for host in ["10.0.0.1", "fd00::1", "FD00:0::1", "eu-1.example.net"] { #expect(leaf.covers(host: host), "\(host)") }
    for host in ["10.0.0.2", "fd00::2", "example.net", "eu-1", "eu-1.example.net.evil", ""] {
      #expect(!leaf.covers(host: host), "\(host)")
    }
    #expect(leaf.allows(.server) && leaf.allows(.client) && leaf.commonName == "eu-1" && leaf.identity == nil)
    #expect(leaf.isIssued(by: authority.certificate) && !leaf.isIssued(by: other.certificate))
    let client = try issue(authority, .client, [])
    #expect(client.allows(.client) && !client.allows(.server) && !client.covers(host: "10.0.0.1"))
  }

  @Test("names and hosts that would say more than they seem to are refused")
  func hostile() throws {
    let authority = try authority()
    for host in [
      "", "10.0.0.1,DNS:evil", "10.0.0.1\0,DNS:evil", "a b", "*.example.net", "-a", "a-", "a..b", "a,URI:komora://x",
      String(repeating: "a", count: 64), "email:x", "10.0.0.1\n", "€",
    ] { #expect(throws: X509Error.self, "\(host)") { _ = try issue(authority, .server, [host]) } }
    for name in ["", "a/b", "a b", "ä", String(repeating: "a", count: 65)] {
      #expect(throws: X509Error.self, "\(name)") { _ = try issue(authority, .client, [], name: name) }
    }
    let broken = X509Request.make(.generate()).replacing("REQUEST", with: "NOTHING")
    #expect(throws: X509Error.self) {
      _ = try authority.issue(broken, name: "a", usage: .client, hosts: [], validity: TLSFixture.current)
    }
  }

  @Test("a certificate is the same from PEM and from DER, and says its dates, serial and key")
  func forms() throws {
    let authority = try authority()
    let key = X509Key.generate(.p256)
    let leaf = try authority.issue(
      X509Request.make(key), name: "a.b_c-1", usage: .client, hosts: [], validity: TLSFixture.current)
    let read = try X509Certificate(der: leaf.der)
    #expect(try X509Certificate(pem: read.pem).der == leaf.der)
    #expect(read.notBefore == TLSFixture.current.lowerBound && read.notAfter == TLSFixture.current.upperBound)
    #expect(read.serial == leaf.serial && read.serial.count == 32 && [UInt8](hex: read.serial) != nil)
    #expect(read.fingerprint == SHA256.hash(leaf.der))
    #expect(read.belongs(to: key) && !read.belongs(to: .generate(.p256)))
    #expect(try issue(authority, .client, []).serial != leaf.serial)
    #expect(throws: X509Error.self) { _ = try X509Certificate(der: leaf.der + [0]) }
    #expect(throws: X509Error.self) { _ = try X509Certificate(der: []) }
  }

  @Test("ten thousand damaged certificates in DER are refused or read, and never trap")
  func fuzz() throws {
    let authority = try authority()
    let whole = try issue(authority, .server, ["10.0.0.1", "a.example"]).der
    var random = SeededGenerator(seed: 9)
    var trusted = 0
    for _ in 0..<10_000 {
      var bytes = whole
      for _ in 0...random.below(3) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
      if random.oneIn(4) { bytes.removeLast(random.below(bytes.count)) }
      guard bytes != whole, let read = try? X509Certificate(der: bytes) else { continue }
      _ = (read.identity, read.commonName, read.serial, read.validity, read.allows(.server), read.covers(host: "a"))
      if read.isIssued(by: authority.certificate) { trusted += 1 }
    }
    #expect(trusted == 0)
  }
}
