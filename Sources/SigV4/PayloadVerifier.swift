// Checks a body while it passes, whatever form it has, and hands on the payload: what a handler stores.
//
// Nothing of the payload may be kept until `finish` has returned: hash, last chunk and trailing checksum come at the
// end.

internal import OpenSSL

package struct PayloadVerifier {
  private var decoder: AWSChunkedDecoder?
  private let wholeHash: [UInt8]?
  private let hasher: Hasher?
  private var checksum: PayloadChecksum?
  private let expectedChecksum: [UInt8]?
  private var left: Int?
  /// Bytes of payload that have passed.
  package private(set) var count = 0

  /// The body of `request`, whose head was verified. Refuses checksums that are unknown or more than one. Where a
  /// checksum in the head is of something else than the body (`isOfBody` false), the caller checks it.
  package init(
    _ verified: VerifiedSignature, _ request: SignedRequest, checksumIsOfBody isOfBody: Bool = true
  ) throws(SigV4Error) {
    var trailing = [String]()
    switch verified.payload {
    case .whole(let hash): (wholeHash, hasher) = (hash, Hasher(.sha256))
    case .unsigned: (wholeHash, hasher) = (nil, nil)
    case .chunked(let signed, let trailers, let length):
      (wholeHash, hasher) = (nil, nil)
      decoder = AWSChunkedDecoder(chain: signed ? verified.chain : nil, trailers: trailers, decodedLength: length)
      trailing = trailers
      left = length
    }
    if decoder == nil, let text = request["content-length"] { left = Int(text) }
    let known = Self.notChecksums
    let fields = request.fields.keys.filter { isOfBody && $0.hasPrefix("x-amz-checksum-") && !known.contains($0) }
    guard trailing.allSatisfy({ $0.hasPrefix("x-amz-checksum-") }) else {
      throw SigV4Error(.unsupported, "Only a checksum may trail a body.")
    }
    guard fields.count + trailing.count <= 1 else {
      throw SigV4Error(.malformed, "Only one additional checksum is accepted.")
    }
    if let field = fields.first ?? trailing.first {
      guard let algorithm = PayloadChecksum.Algorithm.allCases.first(where: { $0.field == field }) else {
        throw SigV4Error(.unsupported, "The checksum algorithm is not supported.")
      }
      checksum = PayloadChecksum(algorithm)
    }
    expectedChecksum = try fields.isEmpty ? nil : Self.value(request[fields[0]])
  }

  /// Bytes of payload that must still come; nil when the client did not say.
  package var remaining: Int? { left }

  /// Takes the next bytes of the body; hands their payload, in order, to `emit`.
  package mutating func push(_ bytes: ArraySlice<UInt8>, _ emit: (ArraySlice<UInt8>) -> Void) throws(SigV4Error) {
    var parts = [ArraySlice<UInt8>]()
    if decoder != nil { try decoder?.push(bytes) { parts.append($0) } } else { parts = [bytes] }
    for part in parts where !part.isEmpty {
      unsafe try take(part.span.bytes)
      emit(part)
    }
  }

  /// Whether an additional checksum came, or comes behind the body, and is compared.
  package var hasChecksum: Bool { checksum != nil }

  /// Whether the body has a form of its own around the payload; where it has none, `pass` spares a copy.
  package var isChunked: Bool { decoder != nil }

  /// As `push`, of a body that is the payload as it stands.
  package mutating func pass(_ bytes: RawSpan) throws(SigV4Error) {
    precondition(decoder == nil, "a chunked body is not its payload")
    try take(bytes)
  }

  private mutating func take(_ payload: RawSpan) throws(SigV4Error) {
    hasher?.update(payload)
    checksum?.update(payload)
    count += payload.byteCount
    guard let l = left else { return }
    guard payload.byteCount <= l else {
      throw SigV4Error(.wrongLength, "The body is longer than its announced length.")
    }
    left = l - payload.byteCount
  }

  /// The body has ended. Returns the checksum that was verified, if the client sent one.
  @discardableResult
  package func finish() throws(SigV4Error) -> (algorithm: PayloadChecksum.Algorithm, value: [UInt8])? {
    try decoder?.finish()
    guard left ?? 0 == 0 else { throw SigV4Error(.wrongLength, "The body ends before its announced length.") }
    if let wholeHash, let hasher {
      guard constantTimeEqual(hasher.finish(), wholeHash) else {
        throw SigV4Error(.payloadMismatch, "The body's SHA-256 is not the one that was signed.")
      }
    }
    guard let checksum else { return nil }
    var expected = expectedChecksum
    if expected == nil { expected = try Self.value(decoder?.trailers[checksum.algorithm.field]) }
    let value = checksum.finish()
    guard value == expected else {
      throw SigV4Error(.payloadMismatch, "The body does not have the checksum that came with it.")
    }
    return (checksum.algorithm, value)
  }

  /// Fields that say how, not what.
  private static let notChecksums: Set<String> = [
    "x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type",
  ]

  private static func value(_ text: String?) throws(SigV4Error) -> [UInt8] {
    guard let bytes = text.flatMap({ Base64.decode($0) }) else {
      throw SigV4Error(.malformed, "A checksum must be given in base64.")
    }
    return bytes
  }
}
