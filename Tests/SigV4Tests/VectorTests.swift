// The verifier against requests that other programs signed, untouched and touched.

import Base
import Foundation
import SigV4
import Testing

@Suite struct VectorTests {
  @Test("every request signed by botocore is accepted with its payload", arguments: Vectors.botocore.cases)
  func botocore(_ vector: Vectors.Case) throws {
    for step in [1, 7, 4096] { #expect(try Vectors.botocore.accept(vector, step: step) == vector.payloadBytes) }
  }

  @Test("every example that AWS prints is accepted with its payload", arguments: Vectors.aws.cases)
  func published(_ vector: Vectors.Case) throws {
    for step in [1, 1000, 1 << 20] { #expect(try Vectors.aws.accept(vector, step: step) == vector.payloadBytes) }
  }

  @Test("another secret is refused", arguments: Vectors.botocore.cases)
  func wrongSecret(_ vector: Vectors.Case) {
    #expect(refusal { () throws(SigV4Error) in try Vectors.botocore.accept(vector, secret: "wrong") } == .mismatch)
  }

  @Test("another method or path is refused", arguments: Vectors.botocore.cases)
  func otherRequest(_ vector: Vectors.Case) {
    var touched = vector
    touched.method = vector.method == "GET" ? "DELETE" : "GET"
    #expect(refusal { () throws(SigV4Error) in try Vectors.botocore.accept(touched) } == .mismatch)
    touched = vector
    touched.target = vector.target.replacing("/acme", with: "/acmf", maxReplacements: 1)
    #expect(refusal { () throws(SigV4Error) in try Vectors.botocore.accept(touched) } == .mismatch)
  }

  @Test("a changed, missing or additional x-amz field is refused", arguments: Vectors.botocore.cases)
  func touchedFields(_ vector: Vectors.Case) {
    for field in vector.fields.map({ $0[0].lowercased() }) where field.hasPrefix("x-amz-") || field == "host" {
      var touched = vector
      touched[field] = vector[field]! + "0"
      #expect(refusal { () throws(SigV4Error) in try Vectors.botocore.accept(touched) } != nil, "\(field) changed")
      touched[field] = nil
      #expect(refusal { () throws(SigV4Error) in try Vectors.botocore.accept(touched) } != nil, "\(field) missing")
    }
    var touched = vector
    touched["x-amz-meta-planted"] = "1"
    #expect(refusal { () throws(SigV4Error) in try Vectors.botocore.accept(touched) } == .unsignedHeader)
  }

  @Test("a changed, added or missing query parameter is refused", arguments: ["&a=b", "&uploads", "0"])
  func touchedQuery(_ suffix: String) {
    for name in ["list", "presigned get", "sub-resource without value"] {
      var touched = Vectors.botocore.named(name)
      touched.target += suffix
      #expect(refusal { () throws(SigV4Error) in try Vectors.botocore.accept(touched) } != nil)
    }
  }

  @Test("a body with one changed byte is refused wherever a hash or checksum covers it")
  func touchedBody() {
    for vector in Vectors.botocore.cases where !vector.body.isEmpty && vector.name != "unsigned put" {
      for at in [0, vector.body.count / 2, vector.body.count - 1] {
        var touched = vector
        touched.body[at] ^= 1
        #expect(refusal { () throws(SigV4Error) in try Vectors.botocore.accept(touched) } != nil, "\(vector) at \(at)")
      }
    }
  }

  @Test("random changes of signed chunked bodies never trap and never pass")
  func fuzzedChunks() {
    var random = SeededGenerator(seed: 4)
    let vectors = ["chunked upload", "chunked upload with trailer"].map(Vectors.aws.named)
    for _ in 0..<2000 {
      var touched = vectors[random.below(2)]
      // The framing is what matters, so most changes hit the last chunks.
      let at = random.oneIn(4) ? random.below(touched.body.count) : touched.body.count - 1 - random.below(400)
      switch random.below(3) {
      case 0: touched.body[at] ^= UInt8(1 << random.below(8))
      case 1: touched.body.remove(at: at)
      default: touched.body.insert(UInt8(random.below(256)), at: at)
      }
      let payload = try? Vectors.aws.accept(touched, step: 1 + random.below(70_000))
      // A change of the case of a hexadecimal digit is none.
      #expect(payload == nil || payload == touched.payloadBytes)
    }
  }
}
