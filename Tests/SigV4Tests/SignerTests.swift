// Our signer against AWS's printed signatures and against our verifier.

import Base
import OpenSSL
import SigV4
import Testing

@Suite struct SignerTests {
  private let aws = Vectors.aws
  private var signer: RequestSigner {
    RequestSigner(accessKey: aws.access, secret: aws.secretBytes, region: "us-east-1")
  }

  @Test("a signed head is the one that AWS prints", arguments: ["get object", "put object", "list objects"])
  func published(_ name: String) throws {
    let vector = aws.named(name)
    let own: Set<String> = ["authorization", "x-amz-date", "x-amz-content-sha256"]
    let fields = vector.fields.map { (name: $0[0], value: $0[1]) }.filter { !own.contains($0.name.lowercased()) }
    let added = try signer.sign(
      method: vector.method, target: RequestTarget(vector.target), fields: fields,
      payloadHash: SHA256.hash(vector.bodyBytes), now: aws.now)
    let signature = added.last!.value.split(separator: "=").last!
    #expect(vector["authorization"]!.hasSuffix(signature))
  }

  @Test("a presigned URL is the one that AWS prints")
  func presigned() throws {
    let url = try signer.presign(
      method: "GET", host: "examplebucket.s3.amazonaws.com", path: "/test.txt", life: 86_400, now: aws.now)
    #expect(url == aws.named("presigned get").target)
  }

  @Test("what is signed here is accepted here, with awkward keys and fields")
  func roundTrip() throws {
    for key in ["plain", "a b+c", "ключ/дзвінка 1.wav", "../..", "%41", "a'(b)*!~"] {
      let path = "/acme/" + URIEncoding.encode(key, keepSlash: true)
      let target = try RequestTarget(path + "?prefix=" + URIEncoding.encode(key))
      let fields = [(name: "host", value: "h"), (name: "x-amz-meta-k", value: " a  b ")]
      let added = try signer.sign(method: "PUT", target: target, fields: fields, payloadHash: nil, now: aws.now)
      let request = try SignedRequest(method: "PUT", target: target, fields: fields + added)
      let claim = try SignatureClaim(request, now: aws.now + 5, overTLS: true)
      let verified = try claim.verify(secret: aws.secretBytes)
      #expect(verified.accessKey == aws.access)
      #expect(target.path == "/acme/" + key)
      #expect(target.value("prefix") == key)
    }
  }
}

@Suite struct EncodingTests {
  @Test("times are read and written as AWS writes them")
  func times() {
    #expect(SigningTime("20130524T000000Z")?.seconds == 1_369_353_600)
    for seconds: Int64 in [0, 951_782_400, 1_369_353_600, 1_795_262_399, 4_107_542_399] {
      #expect(SigningTime(SigningTime(seconds: seconds).text)?.seconds == seconds)
    }
    for text in ["20130230T000000Z", "20131301T000000Z", "20130524T240000Z", "20130524 000000Z", "", "2013-05-24"] {
      #expect(SigningTime(text) == nil)
    }
  }

  @Test("base64 comes back, and what is none is refused")
  func base64() {
    var random = SeededGenerator(seed: 1)
    for count in 0..<100 {
      let bytes = (0..<count).map { _ in UInt8(random.below(256)) }
      #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    }
    #expect(Base64.encode(Array("any carnal pleas".utf8)) == "YW55IGNhcm5hbCBwbGVhcw==")
    #expect(Base64.decode("YW55IGNhcm5hbCBwbGVhcw") == Array("any carnal pleas".utf8))
    for text in ["A", "AB=C", "====", "A===", "ab cd", "YW55IGNhcm5hbCBwbGVhcx==", "\u{e4}\u{e4}"] {
      #expect(Base64.decode(text) == nil, "\(text)")
    }
  }

  @Test(
    "a body is checked against each checksum that is supported",
    arguments: [
      ("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-crc32c", "4waSgw=="),
      ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
      ("x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
    ])
  func checksums(_ field: String, _ value: String) throws {
    // The check values of "123456789" that the catalogues of CRCs list.
    let vectors = Vectors.aws
    let signer = RequestSigner(accessKey: vectors.access, secret: vectors.secretBytes, region: "x")
    let target = try RequestTarget("/b/k")
    func check(_ body: String) throws(SigV4Error) {
      let fields = [(name: "host", value: "h"), (name: field, value: value)]
      let added = try signer.sign(method: "PUT", target: target, fields: fields, payloadHash: nil, now: vectors.now)
      let request = try SignedRequest(method: "PUT", target: target, fields: fields + added)
      let claim = try SignatureClaim(request, now: vectors.now, overTLS: true)
      var verifier = try PayloadVerifier(claim.verify(secret: vectors.secretBytes), request)
      try verifier.push(Array(body.utf8)[...]) { _ in }
      try verifier.finish()
    }
    try check("123456789")
    #expect(refusal { () throws(SigV4Error) in try check("123456780") } == .payloadMismatch)
  }
}
