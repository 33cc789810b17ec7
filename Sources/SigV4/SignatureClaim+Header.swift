// Credentials in the Authorization field: `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.

extension SignatureClaim {
  static func fromHeader(
    _ header: String, _ request: SignedRequest, now: Int64, overTLS: Bool
  ) throws(SigV4Error) -> SignatureClaim {
    let parts = try fields(of: header)
    guard let dateText = request["x-amz-date"], let time = SigningTime(dateText) else {
      throw SigV4Error(.malformed, "x-amz-date must be given as YYYYMMDDTHHMMSSZ.")
    }
    guard abs(time.seconds - now) <= skewMax else {
      throw SigV4Error(.skewed, "The request's time differs from ours by more than 15 minutes.")
    }
    guard request["x-amz-security-token"] == nil else {
      throw SigV4Error(.unsupported, "Session tokens are not supported.")
    }
    guard let payloadText = request["x-amz-content-sha256"] else {
      throw SigV4Error(.malformed, "x-amz-content-sha256 is missing.")
    }
    let payload = try PayloadMode.parse(payloadText, of: request, overTLS: overTLS)
    return try SignatureClaim(
      request, credential: parts.credential, signedHeaders: parts.signedHeaders, signature: parts.signature, time: time,
      payloadText: payloadText, payload: payload, isPresigned: false)
  }

  private static func fields(
    of header: String
  ) throws(SigV4Error) -> (credential: String, signedHeaders: String, signature: String) {
    guard header.utf8.count <= 4096 else { throw SigV4Error(.malformed, "The Authorization field is too long.") }
    let words = header.split(separator: " ", maxSplits: 1)
    guard words.count == 2, words[0] == CanonicalRequest.algorithm else {
      throw SigV4Error(.unsupported, "Only AWS4-HMAC-SHA256 is supported.")
    }
    var found = [String: String]()
    for part in words[1].split(separator: ",") {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = pair[0].filter { $0 != " " }
      guard pair.count == 2, found.updateValue(String(pair[1].filter { $0 != " " }), forKey: name) == nil else {
        throw SigV4Error(.malformed, "The Authorization field is malformed.")
      }
    }
    guard found.count == 3, let credential = found["Credential"], let headers = found["SignedHeaders"],
      let signature = found["Signature"]
    else { throw SigV4Error(.malformed, "Authorization must have Credential, SignedHeaders and Signature.") }
    return (credential, headers, signature)
  }
}
