// What Signature V4 leaves to the server: times, limits, credentials in two places, duplicate fields, targets.

import Base
import OpenSSL
import SigV4
import Testing

@Suite struct RuleTests {
  private let vectors = Vectors.botocore

  private func code(_ vector: Vectors.Case, now: Int64? = nil, overTLS: Bool = true) -> SigV4Error.Code? {
    refusal { () throws(SigV4Error) in try vectors.accept(vector, now: now, overTLS: overTLS) }
  }

  @Test("a clock up to 15 minutes away is accepted, more is refused")
  func skew() {
    let get = vectors.named("get")
    for difference: Int64 in [-900, 0, 900] { #expect(code(get, now: vectors.now + difference) == nil) }
    for difference: Int64 in [-901, 901] { #expect(code(get, now: vectors.now + difference) == .skewed) }
  }

  @Test("a presigned URL is good until it expires and not before its time")
  func presignedTimes() {
    let get = vectors.named("presigned get")
    #expect(code(get, now: vectors.now + 3600) == nil)
    #expect(code(get, now: vectors.now + 3601) == .expired)
    #expect(code(get, now: vectors.now - 900) == nil)
    #expect(code(get, now: vectors.now - 901) == .skewed)
  }

  @Test(
    "a presigned URL lives 1 second to 7 days", arguments: ["0", "-1", "604801", "", "1e3", "99999999999999999999"])
  func presignedLife(_ life: String) {
    var get = vectors.named("presigned get")
    get.target = get.target.replacing("X-Amz-Expires=3600", with: "X-Amz-Expires=\(life)")
    #expect(code(get) == .malformed)
    #expect(code(vectors.named("presigned get with overrides"), now: vectors.now + 604_800) == nil)
  }

  @Test("credentials in header and query together are refused, whatever their case")
  func twoCredentials() {
    var get = vectors.named("presigned get")
    get["authorization"] = vectors.named("get")["authorization"]
    #expect(code(get) == .malformed)
    for name in ["X-Amz-Signature", "x-amz-credential", "AWSAccessKeyId"] {
      var header = vectors.named("get")
      header.target += "?\(name)=1"
      #expect(code(header) == .malformed)
    }
  }

  @Test("no credentials, Signature V2 and session tokens are told apart")
  func otherCredentials() {
    var get = vectors.named("get")
    get["authorization"] = nil
    #expect(code(get) == .missing)
    get["authorization"] = "AWS AKIA:c2ln"
    #expect(code(get) == .unsupported)
    get = vectors.named("get")
    get["x-amz-security-token"] = "token"
    #expect(code(get) == .unsupported)
  }

  @Test(
    "a field that decides something must not occur twice",
    arguments: ["host", "x-amz-date", "authorization", "content-length", "range", "x-amz-meta-a", "content-type"])
  func duplicates(_ name: String) {
    var put = vectors.named("put")
    put.fields += [[name, "1"], [name.uppercased(), "1"]]
    #expect(code(put) == .malformed)
    put = vectors.named("put")
    put.fields += [["Accept", "a"], ["accept", "b"]]
    #expect(code(put) == nil)
  }

  @Test(
    "only a path that begins with a slash is a target",
    arguments: [
      "http://node.example/acme/k", "*", "", "acme/k", "/acme/k#part", "/acme/\u{7f}", "/acme/k y", "/acme/ä", "/a%zz",
      "/a%4",
      "/a%ff", "/a?x=1&x=2", "/a?%ff",
    ])
  func targets(_ target: String) {
    #expect(refusal { () throws(SigV4Error) in try RequestTarget(target) } == .malformed)
    let long = "/" + String(repeating: "a", count: 9000)
    #expect(refusal { () throws(SigV4Error) in try RequestTarget(long) } == .malformed)
  }

  @Test("paths keep their dots, empty segments and encoded slashes")
  func paths() throws {
    #expect(try RequestTarget("/a/../b//./c").path == "/a/../b//./c")
    #expect(try RequestTarget("/a%2fb").path == "/a/b")
    var get = vectors.named("dots and empty segments")
    get.target = "/acme/b/c"
    #expect(code(get) == .mismatch)
    get.target = "/acme%2Fa/../b//./c"
    #expect(code(get) == .mismatch)
  }

  @Test("an unsigned payload needs TLS")
  func unsignedNeedsTLS() {
    for name in ["unsigned put", "presigned put", "trailing crc32"] {
      #expect(code(vectors.named(name), overTLS: false) == .unsignedHeader)
    }
    #expect(code(vectors.named("put"), overTLS: false) == nil)
  }

  @Test("aws-chunked without its length or its announcement is refused")
  func chunkedWithoutLength() {
    var put = vectors.named("trailing crc32")
    put["x-amz-decoded-content-length"] = nil
    #expect(code(put) == .wrongLength)
    for length in ["", "-1", "2 816", "99999999999999999999"] {
      put["x-amz-decoded-content-length"] = length
      #expect(code(put) == .wrongLength)
    }
    put = vectors.named("put")
    put["content-encoding"] = "gzip, aws-chunked"
    #expect(code(put) == .malformed)
    put = vectors.named("trailing crc32")
    put["x-amz-trailer"] = nil
    #expect(code(put) == .malformed)
  }

  @Test("signed headers must be sorted, lower-case, different, present and contain the host")
  func signedHeaders() {
    let good = "host;x-amz-content-sha256;x-amz-date"
    for (list, expected) in [
      ("x-amz-content-sha256;x-amz-date", SigV4Error.Code.unsignedHeader), ("host;x-amz-date", .unsignedHeader),
      ("Host;x-amz-content-sha256;x-amz-date", .malformed), ("host;host;x-amz-content-sha256;x-amz-date", .malformed),
      ("x-amz-date;x-amz-content-sha256;host", .malformed), ("absent;" + good, .malformed), ("", .malformed),
    ] {
      var get = vectors.named("get")
      get["authorization"] = get["authorization"]!.replacing("SignedHeaders=\(good)", with: "SignedHeaders=\(list)")
      #expect(code(get) == expected, "\(list)")
    }
  }

  @Test("a credential must be for s3 and for the day of the request")
  func scopes() {
    for (from, to) in [("/s3/", "/sqs/"), ("/20261121/", "/20261122/"), ("aws4_request", "aws5_request")] {
      var get = vectors.named("get")
      get["authorization"] = get["authorization"]!.replacing(from, with: to)
      #expect(code(get) == .malformed)
    }
  }

  @Test("random changes of every request never trap and never pass unless they mean the same")
  func fuzzedHeads() throws {
    var random = SeededGenerator(seed: 11)
    var refused = 0
    for _ in 0..<4000 {
      var touched = vectors.cases[random.below(vectors.cases.count)]
      var target = Array(touched.target.utf8)
      let field = random.below(touched.fields.count)
      var value = Array(touched.fields[field][1].utf8)
      if random.oneIn(2) { mutate(&target, &random) } else { mutate(&value, &random) }
      touched.target = String(decoding: target, as: UTF8.self)
      touched.fields[field][1] = String(decoding: value, as: UTF8.self)
      if code(touched) != nil { refused += 1 }
    }
    #expect(refused > 2000)
  }

  private func mutate(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
    guard !bytes.isEmpty else { return bytes = [UInt8(random.below(256))] }
    let at = random.below(bytes.count)
    switch random.below(4) {
    case 0: bytes[at] = UInt8(random.below(256))
    case 1: bytes.remove(at: at)
    case 2: bytes.insert(UInt8(random.below(256)), at: at)
    default: bytes.insert(contentsOf: bytes[at...], at: at)
    }
  }
}
