// Heads of forwarded requests and replies: whole again, in pieces, spoilt and too large.

import Base
import Formats
import Testing

@Suite("forwarding formats")
struct ForwardingFormatTests {
  private let request = ForwardedRequest(
    surface: .s3, hops: 2, waitsWithBody: true, deadlineMilliseconds: 29_000,
    account: AccountID(bits: 0x0123_4567_89AB_CDEF_0123_4567_89AB_CDEF), epoch: 7, method: "PUT",
    target: "/acme/a%20b?x=1", authority: "example.org:7401", client: "192.0.2.7",
    fields: [ForwardedField("x-amz-date", "20261122T010203Z"), ForwardedField("Range", ""), ForwardedField("a", "é")])

  private let replies: [ForwardedReply] = [
    .wantsBody, .notHere(epoch: .max), .head(status: 404, fields: []),
    .head(status: 200, fields: [ForwardedField("etag", "\"1\"")]),
  ]

  @Test("a head is read as it was written, also when it arrives in pieces and its body follows at once")
  func roundTrip() throws {
    let bytes = try request.encode()
    for count in 0..<bytes.count { #expect(try ForwardedRequest.take(bytes[..<count]) == nil) }
    let found = try #require(try ForwardedRequest.take((bytes + [1, 2, 3])[...]))
    #expect(found.head == request && found.length == bytes.count)
    for reply in replies {
      let bytes = try reply.encode()
      for count in 0..<bytes.count { #expect(try ForwardedReply.take(bytes[..<count]) == nil) }
      let found = try #require(try ForwardedReply.take((bytes + [0])[...]))
      #expect(found.head == reply && found.length == bytes.count)
    }
  }

  @Test("what the layout has no room for is refused by both sides")
  func limits() throws {
    var long = request
    long.target = "/" + String(repeating: "a", count: ForwardingLimits.targetBytesMax)
    #expect(throws: FormatError.self) { try long.encode() }
    long = request
    long.fields = Array(repeating: ForwardedField("a", "b"), count: ForwardingLimits.fieldsMax + 1)
    #expect(throws: FormatError.self) { try long.encode() }
    long.fields = Array(repeating: ForwardedField("a", String(repeating: "b", count: 30_000)), count: 8)
    #expect(throws: FormatError.self) { try long.encode() }
    #expect(throws: FormatError.self) { try ForwardedRequest.take([0xFF, 0xFF, 0xFF, 0x7F]) }
    #expect(throws: FormatError.self) { try ForwardedReply.take([0, 0, 0, 0, 1]) }
    for hops: UInt8 in [0, 3] {
      var bytes = try request.encode()
      bytes[6] = hops
      #expect(throws: FormatError.self) { try ForwardedRequest.take(bytes[...]) }
    }
  }

  @Test("spoilt heads are refused or read, and what is read is written alike")
  func fuzz() throws {
    var mutations = Mutations(seed: 11)
    var read = 0
    for round in 0..<20_000 {
      let bytes = mutations.mutated(try request.encode())
      if let found = try? ForwardedRequest.take(bytes[...]) {
        read += 1
        #expect(try found.head.encode() == Array(bytes[..<found.length]))
      }
      let reply = mutations.mutated(try replies[round % replies.count].encode())
      if let found = try? ForwardedReply.take(reply[...]) {
        #expect(try found.head.encode() == Array(reply[..<found.length]))
      }
    }
    #expect(read > 100)
  }
}
