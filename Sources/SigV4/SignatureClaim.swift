// What a request claims: that the holder of an access key signed this method, target, fields and payload at that time.
//
// Everything that can be refused without the secret is refused while the claim is read: form, time, fields that have to
// be signed and are not, credentials in two places. `verify` then needs the secret alone. The region is not compared
// with anything, since the key is derived from it: a client may call ours by any name.

internal import Base
package import OpenSSL

package struct SignatureClaim: Sendable {
  package let accessKey: String
  package let payload: PayloadMode
  /// Whether the credentials stood in the query.
  package let isPresigned: Bool
  let scope: CredentialScope
  let time: SigningTime
  let signature: [UInt8]
  let stringToSign: String

  /// Largest difference between the request's clock and ours, in seconds.
  package static let skewMax: Int64 = 900
  /// Longest life of a presigned URL, in seconds: seven days.
  package static let presignedLifeMax: Int64 = 604_800

  /// Reads the credentials of `request`. `now` is in seconds since 1970.
  package init(_ request: SignedRequest, now: Int64, overTLS: Bool) throws(SigV4Error) {
    let inQuery = request.target.query.contains { Self.isCredential($0.name) }
    switch (request["authorization"], inQuery) {
    case (nil, false): throw SigV4Error(.missing, "The request carries no credentials.")
    case (.some, true): throw SigV4Error(.malformed, "Credentials in header and query together are refused.")
    case (let header?, false): self = try Self.fromHeader(header, request, now: now, overTLS: overTLS)
    case (nil, true): self = try Self.fromQuery(request, now: now, overTLS: overTLS)
    }
  }

  init(
    _ request: SignedRequest, credential: String, signedHeaders: String, signature: String, time: SigningTime,
    payloadText: String, payload: PayloadMode, isPresigned: Bool
  ) throws(SigV4Error) {
    let (accessKey, scope) = try CredentialScope.parse(credential: credential)
    guard scope.service == "s3" else { throw SigV4Error(.malformed, "The credential's service must be s3.") }
    guard scope.day == time.day else {
      throw SigV4Error(.malformed, "The credential's day is not the day of the request.")
    }
    guard signature.utf8.count == 64, let bytes = [UInt8](hex: signature) else {
      throw SigV4Error(.malformed, "The signature must be 64 hexadecimal digits.")
    }
    let names = try Self.checked(signedHeaders: signedHeaders, of: request)
    let canonical = CanonicalRequest.text(
      request, signedHeaders: names, payloadHash: payloadText, excludingQuery: isPresigned ? "X-Amz-Signature" : nil)
    self.accessKey = accessKey
    self.scope = scope
    self.time = time
    self.signature = bytes
    self.payload = payload
    self.isPresigned = isPresigned
    stringToSign = CanonicalRequest.stringToSign(canonical, time: time, scope: scope)
  }

  /// Checks the signature with the access key's secret; what comes back checks the body.
  package func verify(secret: SecretBytes) throws(SigV4Error) -> VerifiedSignature {
    var text = secret.copy
    defer { wipe(&text) }
    let key = SigningKey(secret: text, scope: scope)
    guard constantTimeEqual(key.sign(stringToSign), signature) else {
      throw SigV4Error(.mismatch, "The signature is not the one that the secret key gives for this request.")
    }
    return VerifiedSignature(
      accessKey: accessKey, payload: payload,
      chain: ChunkSignatureChain(key: key, time: time, scope: scope, seed: signature))
  }

  /// Host and every `x-amz-*` field must be signed, and what is signed must be there.
  private static func checked(signedHeaders: String, of request: SignedRequest) throws(SigV4Error) -> [String] {
    let names = signedHeaders.split(separator: ";", omittingEmptySubsequences: false).map(String.init)
    guard names == names.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }), Set(names).count == names.count,
      names == names.map({ $0.lowercased() })
    else { throw SigV4Error(.malformed, "The signed headers must be lower-case, sorted and different.") }
    guard names.allSatisfy({ request[$0] != nil }) else {
      throw SigV4Error(.malformed, "A signed header is not in the request.")
    }
    let signed = Set(names)
    guard signed.contains("host") else { throw SigV4Error(.unsignedHeader, "The host must be signed.") }
    guard request.fields.keys.allSatisfy({ !$0.hasPrefix("x-amz-") || signed.contains($0) }) else {
      throw SigV4Error(.unsignedHeader, "Every x-amz header must be signed.")
    }
    return names
  }

  /// Parameters of Signature V4 and V2, in any case, so that a second set of credentials never hides.
  private static func isCredential(_ name: String) -> Bool {
    [
      "x-amz-algorithm", "x-amz-credential", "x-amz-signature", "x-amz-signedheaders", "x-amz-date", "x-amz-expires",
      "x-amz-security-token", "awsaccesskeyid", "signature",
    ].contains(name.lowercased())
  }
}

/// A request whose head is known to be signed by the holder of `accessKey`.
package struct VerifiedSignature: Sendable {
  package let accessKey: String
  package let payload: PayloadMode
  let chain: ChunkSignatureChain
}
