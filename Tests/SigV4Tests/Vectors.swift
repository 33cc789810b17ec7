// Requests signed by others: botocore (Vectors/botocore.json, made by Vectors/generate.py) and the examples that AWS's
// Signature Version 4 pages for S3 print (Vectors/aws.json).

import Foundation
import OpenSSL
import SigV4

struct Vectors: Decodable {
  struct Case: Decodable, CustomStringConvertible, Sendable {
    var name: String
    var method: String
    var target: String
    var fields: [[String]]
    var body: Data
    var payload: Data

    var description: String { name }
    var bodyBytes: [UInt8] { [UInt8](body) }
    var payloadBytes: [UInt8] { [UInt8](payload) }

    func request() throws(SigV4Error) -> SignedRequest {
      try SignedRequest(method: method, target: RequestTarget(target), fields: fields.map { ($0[0], $0[1]) })
    }

    subscript(_ name: String) -> String? {
      get { fields.first { $0[0].lowercased() == name }?[1] }
      set {
        fields.removeAll { $0[0].lowercased() == name }
        if let newValue { fields.append([name, newValue]) }
      }
    }
  }

  var access: String
  var secret: String
  var now: Int64
  var cases: [Case]

  var secretBytes: SecretBytes { SecretBytes(Array(secret.utf8)) }

  static let botocore = load("botocore")
  static let aws = load("aws")

  func named(_ name: String) -> Case { cases.first { $0.name == name }! }

  /// Verifies head and body; gives the payload. `step` is the size of the pieces in which the body arrives.
  func accept(
    _ vector: Case, now other: Int64? = nil, secret wrong: String? = nil, overTLS: Bool = true, step: Int = 1 << 20
  ) throws(SigV4Error) -> [UInt8] {
    let request = try vector.request()
    let claim = try SignatureClaim(request, now: other ?? now, overTLS: overTLS)
    let verified = try claim.verify(secret: wrong.map { SecretBytes(Array($0.utf8)) } ?? secretBytes)
    var verifier = try PayloadVerifier(verified, request)
    var payload = [UInt8]()
    var rest = vector.bodyBytes[...]
    while !rest.isEmpty {
      let piece = rest.prefix(step)
      rest = rest.dropFirst(step)
      try verifier.push(piece) { payload += $0 }
    }
    try verifier.finish()
    return payload
  }

  private static func load(_ name: String) -> Vectors {
    let url = Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Vectors")!
    return try! JSONDecoder().decode(Vectors.self, from: Data(contentsOf: url))
  }
}

/// The code of the refusal, or nil when `body` succeeds.
func refusal(_ body: () throws(SigV4Error) -> some Any) -> SigV4Error.Code? {
  do {
    _ = try body()
    return nil
  } catch { return error.code }
}
