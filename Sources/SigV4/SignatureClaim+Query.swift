// Credentials in the query: a presigned URL. Its signature covers every other parameter; the body is not signed unless
// the request says its hash.

extension SignatureClaim {
  static func fromQuery(_ request: SignedRequest, now: Int64, overTLS: Bool) throws(SigV4Error) -> SignatureClaim {
    let target = request.target
    guard target.value("X-Amz-Algorithm") == CanonicalRequest.algorithm else {
      throw SigV4Error(.unsupported, "Only AWS4-HMAC-SHA256 is supported.")
    }
    guard target.value("X-Amz-Security-Token") == nil, request["x-amz-security-token"] == nil else {
      throw SigV4Error(.unsupported, "Session tokens are not supported.")
    }
    guard let credential = target.value("X-Amz-Credential"), let signature = target.value("X-Amz-Signature"),
      let signedHeaders = target.value("X-Amz-SignedHeaders")
    else { throw SigV4Error(.malformed, "The presigned URL lacks a parameter.") }
    let time = try checkedTime(of: target, now: now)
    let payloadText = try payloadText(of: request)
    let payload = try PayloadMode.parse(payloadText, of: request, overTLS: overTLS)
    if case .chunked = payload {
      throw SigV4Error(.unsupported, "Streaming signatures are not supported with presigned URLs.")
    }
    return try SignatureClaim(
      request, credential: credential, signedHeaders: signedHeaders, signature: signature, time: time,
      payloadText: payloadText, payload: payload, isPresigned: true)
  }

  private static func checkedTime(of target: RequestTarget, now: Int64) throws(SigV4Error) -> SigningTime {
    guard let time = target.value("X-Amz-Date").flatMap(SigningTime.init) else {
      throw SigV4Error(.malformed, "X-Amz-Date must be given as YYYYMMDDTHHMMSSZ.")
    }
    guard let text = target.value("X-Amz-Expires"), text.utf8.count <= 6,
      text.utf8.allSatisfy({ (48...57).contains($0) }), let life = Int64(text), (1...presignedLifeMax).contains(life)
    else { throw SigV4Error(.malformed, "X-Amz-Expires must be 1 to 604800 seconds.") }
    guard time.seconds <= now + skewMax else {
      throw SigV4Error(.skewed, "The presigned URL's time lies more than 15 minutes ahead of ours.")
    }
    guard now <= time.seconds + life else { throw SigV4Error(.expired, "The presigned URL has expired.") }
    return time
  }

  /// Software that presigns may move the field into the query.
  private static func payloadText(of request: SignedRequest) throws(SigV4Error) -> String {
    switch (request["x-amz-content-sha256"], request.target.value("X-Amz-Content-Sha256")) {
    case (nil, nil): PayloadMode.unsignedText
    case (let text?, nil), (nil, let text?): text
    case (.some, .some):
      throw SigV4Error(.malformed, "x-amz-content-sha256 in header and query together is refused.")
    }
  }
}
