// Signs requests to S3-compatible storage, with a header or as a presigned URL: the other half of the verifier, over
// the same canonical form.

internal import Base
package import OpenSSL

package struct RequestSigner: Sendable {
  private let accessKey: String
  private let secret: SecretBytes
  private let region: String

  package init(accessKey: String, secret: SecretBytes, region: String) {
    self.accessKey = accessKey
    self.secret = secret
    self.region = region
  }

  /// The fields to add to a request with `fields` (`host` among them): x-amz-date, x-amz-content-sha256, authorization.
  /// `payloadHash` is the body's SHA-256, or nil for UNSIGNED-PAYLOAD.
  package func sign(
    method: String, target: RequestTarget, fields: [(name: String, value: String)], payloadHash: [UInt8]?, now: Int64
  ) throws(SigV4Error) -> [(name: String, value: String)] {
    let time = SigningTime(seconds: now)
    let payload = payloadHash?.hex ?? PayloadMode.unsignedText
    let added = [(name: "x-amz-date", value: time.text), (name: "x-amz-content-sha256", value: payload)]
    let request = try SignedRequest(method: method, target: target, fields: fields + added)
    let names = request.fields.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let canonical = CanonicalRequest.text(request, signedHeaders: names, payloadHash: payload)
    let credential = "\(accessKey)/\(scope(time).text)"
    let authorization =
      "\(CanonicalRequest.algorithm) Credential=\(credential), SignedHeaders=\(names.joined(separator: ";")), "
      + "Signature=\(signature(canonical, time))"
    return added + [(name: "authorization", value: authorization)]
  }

  /// `path` (encoded) with `query` and the parameters of a presigned URL for `host`, good for `life` seconds.
  package func presign(
    method: String, host: String, path: String, query: [RequestTarget.Item] = [], life: Int64, now: Int64
  ) throws(SigV4Error) -> String {
    guard (1...SignatureClaim.presignedLifeMax).contains(life) else {
      throw SigV4Error(.malformed, "A presigned URL lives 1 to 604800 seconds.")
    }
    let time = SigningTime(seconds: now)
    let items =
      query + [
        .init("X-Amz-Algorithm", CanonicalRequest.algorithm),
        .init("X-Amz-Credential", "\(accessKey)/\(scope(time).text)"), .init("X-Amz-Date", time.text),
        .init("X-Amz-Expires", String(life)), .init("X-Amz-SignedHeaders", "host"),
      ]
    let text = items.map { "\(URIEncoding.encode($0.name))=\(URIEncoding.encode($0.value))" }.joined(separator: "&")
    let target = try RequestTarget("\(path)?\(text)")
    let request = try SignedRequest(method: method, target: target, fields: [(name: "host", value: host)])
    let canonical = CanonicalRequest.text(request, signedHeaders: ["host"], payloadHash: PayloadMode.unsignedText)
    return "\(path)?\(text)&X-Amz-Signature=\(signature(canonical, time))"
  }

  private func scope(_ time: SigningTime) -> CredentialScope { CredentialScope(day: time.day, region: region) }

  private func signature(_ canonical: String, _ time: SigningTime) -> String {
    var text = secret.copy
    defer { wipe(&text) }
    let key = SigningKey(secret: text, scope: scope(time))
    return key.sign(CanonicalRequest.stringToSign(canonical, time: time, scope: scope(time))).hex
  }
}
