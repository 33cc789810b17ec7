// Addresses: one spelling each, nothing guessed.

import Base
import Testing
import UVLoop

struct SocketAddressTests {
  @Test("an address is read and written in one spelling")
  func roundTrip() throws {
    for text in ["127.0.0.1:7402", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:7402", "[::]:0", "[2001:db8::a:1]:443"]
    {
      let address = try #require(SocketAddress(text))
      #expect(address.description == text)
      #expect(SocketAddress(bytes: address.bytes, port: address.port) == address)
      #expect(address.isIPv6 == text.hasPrefix("["))
    }
    #expect(SocketAddress("[::ffff:10.0.0.1]:1") == SocketAddress("10.0.0.1:1"))
    #expect(SocketAddress("127.0.0.1:7402")?.with(port: 9).description == "127.0.0.1:9")
  }

  @Test("names, zones, short forms, leading zeros and anything around an address are refused")
  func refused() {
    for text in [
      "", ":", "127.0.0.1", "127.0.0.1:", ":80", "localhost:80", "127.1:80", "127.0.0.01:80", "127.0.0.1:080",
      "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", " 127.0.0.1:80", "127.0.0.1:80 ", "256.0.0.1:80",
      "1.2.3.4.5:80",
      "1..2.3:80", "::1:80", "[::1]", "[::1:80", "::1]:80", "[fe80::1%eth0]:80", "[]:80", "[127.0.0.1]:80", "[::1]:٣",
      "[:::1]:80", "[1:2:3:4:5:6:7:8:9]:1", "0x7f.0.0.1:80", "127.0.0.1:99999999999999999999",
    ] { #expect(SocketAddress(text) == nil, "\(text)") }
    #expect(SocketAddress(bytes: [1, 2, 3], port: 1) == nil)
  }

  @Test("mutated text never traps, and what is accepted reads back as itself")
  func fuzz() {
    var random = SeededGenerator(seed: 7)
    let seeds = ["127.0.0.1:7402", "[2001:db8::a:1]:443", "[::ffff:1.2.3.4]:5"].map { Array($0.utf8) }
    for _ in 0..<20_000 {
      var bytes = seeds[random.below(3)]
      for _ in 0...random.below(3) { bytes[random.below(bytes.count)] = UInt8(random.below(128)) }
      guard let address = SocketAddress(String(decoding: bytes, as: UTF8.self)) else { continue }
      #expect(SocketAddress(address.description) == address)
    }
  }
}
