// How the body of a signed request is protected: the meanings of `x-amz-content-sha256`.

internal import Base

package enum PayloadMode: Equatable, Sendable {
  /// The head's signature covers this SHA-256 of the whole body.
  case whole([UInt8])
  /// Only TLS protects the body.
  case unsigned
  /// The body comes as aws-chunked of `decodedLength` bytes: with a chain of chunk signatures or without, with trailing
  /// fields of these names or without.
  case chunked(signed: Bool, trailers: [String], decodedLength: Int)

  static let unsignedText = "UNSIGNED-PAYLOAD"
  private static let streaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
  private static let streamingWithTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
  private static let unsignedWithTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

  /// What `text` announces for `request`. Bodies that only TLS protects need TLS.
  static func parse(_ text: String, of request: SignedRequest, overTLS: Bool) throws(SigV4Error) -> PayloadMode {
    let encodings = (request["content-encoding"] ?? "").lowercased().split(separator: ",")
    let saysChunked = encodings.contains { $0.filter { $0 != " " && $0 != "\t" } == "aws-chunked" }
    switch text {
    case streaming, streamingWithTrailer, unsignedWithTrailer:
      let signed = text != unsignedWithTrailer
      if !signed { try require(tls: overTLS) }
      let trailers = try text == streaming ? noTrailers(request) : announcedTrailers(request)
      return .chunked(signed: signed, trailers: trailers, decodedLength: try decodedLength(request))
    case _ where text.hasPrefix("STREAMING-"):
      throw SigV4Error(.unsupported, "This streaming signature is not supported.")
    default: break
    }
    guard !saysChunked, request["x-amz-decoded-content-length"] == nil, request["x-amz-trailer"] == nil else {
      throw SigV4Error(.malformed, "An aws-chunked body needs a STREAMING value of x-amz-content-sha256.")
    }
    if text == unsignedText {
      try require(tls: overTLS)
      return .unsigned
    }
    guard text.utf8.count == 64, let hash = [UInt8](hex: text) else {
      throw SigV4Error(.malformed, "x-amz-content-sha256 must be a SHA-256 in hexadecimal or a known constant.")
    }
    return .whole(hash)
  }

  private static func require(tls: Bool) throws(SigV4Error) {
    guard tls else { throw SigV4Error(.unsignedHeader, "An unsigned payload is accepted over TLS only.") }
  }

  private static func decodedLength(_ request: SignedRequest) throws(SigV4Error) -> Int {
    guard let text = request["x-amz-decoded-content-length"], !text.isEmpty, text.utf8.count <= 15,
      text.utf8.allSatisfy({ (48...57).contains($0) }), let length = Int(text)
    else { throw SigV4Error(.wrongLength, "An aws-chunked body needs x-amz-decoded-content-length.") }
    return length
  }

  private static func noTrailers(_ request: SignedRequest) throws(SigV4Error) -> [String] {
    guard request["x-amz-trailer"] == nil else {
      throw SigV4Error(.malformed, "x-amz-trailer needs a -TRAILER value of x-amz-content-sha256.")
    }
    return []
  }

  private static func announcedTrailers(_ request: SignedRequest) throws(SigV4Error) -> [String] {
    let names = (request["x-amz-trailer"] ?? "").lowercased().split(separator: ",").map {
      String($0.filter { $0 != " " && $0 != "\t" })
    }
    guard !names.isEmpty, names.count <= 4, Set(names).count == names.count, names.allSatisfy({ !$0.isEmpty }) else {
      throw SigV4Error(.malformed, "x-amz-trailer must name one to four different fields.")
    }
    return names
  }
}
