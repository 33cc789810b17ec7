// Takes the aws-chunked framing off a body, byte by byte as it arrives, and checks the chain of chunk signatures.
//
//     chunk   = hexadecimal size [";chunk-signature=" 64 digits] CRLF bytes CRLF
//     body    = *chunk last-chunk [*( name ":" value CRLF ) ["x-amz-trailer-signature:" digits CRLF]] CRLF
//
// A machine without input or output of its own. Payload comes out before its chunk's signature is known, since a chunk
// may be as large as the body: nothing may be kept of it until `finish` has returned.

internal import Base
internal import OpenSSL

package struct AWSChunkedDecoder {
  private enum State {
    case header
    case data(left: Int)
    /// CR and LF behind a chunk's bytes: how many of the two are still to come.
    case dataEnd(left: Int)
    case trailer
    case done
  }

  /// A size of 16 digits, the extension and some room; the same for a trailing field.
  static let lineBytesMax = 256

  private var state = State.header
  private var line = [UInt8]()
  private var chain: ChunkSignatureChain?
  private let hasher: Hasher?
  private var expectedSignature = [UInt8]()
  private let announced: [String]
  private var left: Int
  private var signedTrailer: [UInt8]?
  /// Trailing fields by lower-case name.
  package private(set) var trailers: [String: String] = [:]

  /// `chain` for signed chunks; `trailers` are the announced names; the payload must have `decodedLength` bytes.
  init(chain: ChunkSignatureChain?, trailers: [String], decodedLength: Int) {
    self.chain = chain
    hasher = chain == nil ? nil : Hasher(.sha256)
    announced = trailers
    left = decodedLength
  }

  /// Takes the next bytes of the body; hands their payload, in order, to `emit`.
  package mutating func push(_ bytes: ArraySlice<UInt8>, _ emit: (ArraySlice<UInt8>) -> Void) throws(SigV4Error) {
    var rest = bytes
    while let byte = rest.first {
      switch state {
      case .data(let count):
        let part = rest.prefix(count)
        rest = rest.dropFirst(part.count)
        unsafe hasher?.update(part.span.bytes)
        emit(part)
        state = part.count == count ? .dataEnd(left: 2) : .data(left: count - part.count)
        if part.count == count { try checkChunk() }
      case .dataEnd(let count):
        guard byte == (count == 2 ? 13 : 10) else { throw broken("a chunk is longer than its size") }
        rest = rest.dropFirst()
        state = count == 2 ? .dataEnd(left: 1) : .header
      case .header, .trailer:
        rest = rest.dropFirst()
        try take(byte)
      case .done:
        throw broken("bytes follow the last chunk")
      }
    }
  }

  /// The body has ended; it must be complete.
  package func finish() throws(SigV4Error) {
    guard case .done = state, left == 0 else {
      throw SigV4Error(.wrongLength, "The body ends before its announced length.")
    }
  }

  private mutating func take(_ byte: UInt8) throws(SigV4Error) {
    line.append(byte)
    guard line.count <= Self.lineBytesMax else { throw broken("a line is too long") }
    guard byte == 10 else { return }
    guard line.count >= 2, line[line.count - 2] == 13 else { throw broken("a line does not end with CR and LF") }
    guard let text = String(validating: line.dropLast(2), as: UTF8.self) else { throw broken("a line is not text") }
    line.removeAll(keepingCapacity: true)
    if case .header = state { try begin(chunk: text) } else { try trailer(text) }
  }

  private mutating func begin(chunk header: String) throws(SigV4Error) {
    let parts = header.split(separator: ";", omittingEmptySubsequences: false)
    guard (1...15).contains(parts[0].utf8.count), parts[0].utf8.allSatisfy(Self.isHexDigit),
      let size = Int(parts[0], radix: 16)
    else { throw broken("a chunk's size is not a number") }
    if chain == nil {
      guard parts.count == 1 else { throw broken("a chunk has an extension that was not announced") }
    } else {
      let name = "chunk-signature="
      guard parts.count == 2, parts[1].hasPrefix(name), parts[1].utf8.count == name.utf8.count + 64,
        let signature = [UInt8](hex: parts[1].dropFirst(name.utf8.count))
      else { throw broken("a chunk has no signature") }
      expectedSignature = signature
    }
    guard size <= left else { throw SigV4Error(.wrongLength, "The body is longer than its announced length.") }
    left -= size
    if size > 0 {
      state = .data(left: size)
    } else {
      guard left == 0 else { throw SigV4Error(.wrongLength, "The body is shorter than its announced length.") }
      try checkChunk()
      state = .trailer
    }
  }

  private mutating func checkChunk() throws(SigV4Error) {
    guard chain != nil, let hash = hasher?.finish(), let signature = chain?.advance(chunkHash: hash) else { return }
    guard constantTimeEqual(signature, expectedSignature) else {
      throw SigV4Error(.mismatch, "A chunk's signature is not the one that the secret key gives.")
    }
  }

  private mutating func trailer(_ text: String) throws(SigV4Error) {
    guard !text.isEmpty else { return try endTrailer() }
    let pair = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard pair.count == 2 else { throw broken("a trailing field has no value") }
    let name = pair[0].lowercased()
    let value = String(pair[1].drop { $0 == " " })
    if name == "x-amz-trailer-signature", chain != nil, signedTrailer == nil {
      guard value.utf8.count == 64, let signature = [UInt8](hex: value) else {
        throw broken("a signature is malformed")
      }
      signedTrailer = signature
      return
    }
    guard announced.contains(name), signedTrailer == nil, trailers.updateValue(value, forKey: name) == nil else {
      throw broken("a trailing field was not announced or comes twice")
    }
  }

  private mutating func endTrailer() throws(SigV4Error) {
    guard trailers.count == announced.count else { throw broken("an announced trailing field is missing") }
    if chain != nil, !announced.isEmpty {
      let lines = trailers.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)\n" }.joined()
      let signature = chain?.advance(trailerHash: SHA256.hash(Array(lines.utf8)))
      guard let signature, let signedTrailer, constantTimeEqual(signature, signedTrailer) else {
        throw SigV4Error(.mismatch, "The trailer's signature is not the one that the secret key gives.")
      }
    } else if signedTrailer != nil {
      throw broken("a trailer's signature was not announced")
    }
    state = .done
  }

  private func broken(_ what: String) -> SigV4Error {
    SigV4Error(.malformedChunk, "The aws-chunked body is broken: \(what).")
  }

  private static func isHexDigit(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (97...102).contains(byte) || (65...70).contains(byte)
  }
}
