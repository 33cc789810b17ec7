import OffSite
import Testing

@Suite("targets of copies") struct TargetTests {
  @Test("an address is taken apart, and what is none is refused")
  func addresses() throws {
    let target = try OffSiteTarget("https://backup.example.com:9000/calls/komora/eu")
    #expect(
      (target.host, target.port, target.bucket, target.prefix) == ("backup.example.com", 9000, "calls", "komora/eu"))
    #expect(target.authority == "backup.example.com:9000")
    #expect(target.key("packs/a") == "komora/eu/packs/a")
    #expect(try OffSiteTarget("https://s3.example.com/calls/").key("x") == "x")
    #expect(try OffSiteTarget("https://s3.example.com/calls").authority == "s3.example.com")
    let six = try OffSiteTarget("https://[2001:db8::1]:9000/calls")
    #expect((six.host, six.authority) == ("2001:db8::1", "[2001:db8::1]:9000"))
    for bad in [
      "http://s3.example.com/calls", "https://s3.example.com", "https://s3.example.com/", "https:///calls",
      "https://s3.example.com:0/calls", "https://s3.example.com:/calls", "https://s3.example.com:65536/calls",
      "https://user@s3.example.com/calls", "https://s3.example.com/calls?x", "https://s3.example.com/calls#x",
      "https://s3.example.com/Calls", "https://s3.example.com/ca", "https://s3.example.com/calls/../other",
      "https://s3.example.com/calls/a//b", "https://s3.example.com/calls/%2e%2e", "https://[::1/calls",
      "https://[nohost]/calls", "https://s3.example.com/calls/a b", "https://s3.example.com\\@evil/calls",
    ] {
      #expect(throws: OffSiteError.self, "\(bad)") { try OffSiteTarget(bad) }
    }
  }

  @Test("networks that the world cannot reach are known, also inside IPv6")
  func networks() {
    for text in [
      "127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1",
      "0.0.0.0",
      "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:10.0.0.1",
      "::ffff:7f00:1", "64:ff9b::a00:1", "2002:a00:1::", "::10.0.0.1", "2001:db8::1", "fec0::1",
    ] {
      #expect(IPAddress(text)?.isPublic == false, "\(text)")
    }
    for text in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808"] {
      #expect(IPAddress(text)?.isPublic == true, "\(text)")
    }
    for text in [
      "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "010.1.1.1", "0x7f.1", "1::2::3", ":::", "g::", "12345::", "1:2:3:4:5:6:7",
    ] {
      #expect(IPAddress(text) == nil, "\(text)")
    }
  }

  @Test("only hosts of the operator's list, and no address inside unless that is allowed")
  func policy() throws {
    let target = try OffSiteTarget("https://eu.backup.example.com/calls")
    let policy = EndpointPolicy(allowedHosts: ["*.backup.example.com"], allowsPrivate: false)
    try policy.check(target)
    for other in ["https://backup.example.com/calls", "https://evilbackup.example.com/calls", "https://10.0.0.1/calls"]
    {
      let other = try OffSiteTarget(other)
      #expect { try policy.check(other) } throws: { ($0 as? OffSiteError)?.code == .forbidden }
    }
    let addresses = try ["8.8.8.8", "127.0.0.1"].map { try #require(IPAddress($0)) }
    #expect(try policy.pick([addresses[0]], of: target) == addresses[0])
    // One of them inside is enough.
    #expect { try policy.pick(addresses, of: target) } throws: { ($0 as? OffSiteError)?.code == .forbidden }
    let inside = EndpointPolicy(allowedHosts: [target.host], allowsPrivate: true)
    #expect(try inside.pick([addresses[1]], of: target) == addresses[1])
    #expect { try inside.pick([], of: target) } throws: { ($0 as? OffSiteError)?.code == .unavailable }
  }
}
