// One page of S3's list version 2, with keys in URL encoding, so that no key can look like markup.

import SigV4

package struct S3ListingPage {
  package struct Object: Equatable, Sendable {
    package var bytes: Int64
    /// As S3 gives it, without quotes: the MD5 of an object that came in one piece.
    package var etag: String

    package init(bytes: Int64, etag: String) {
      self.bytes = bytes
      self.etag = etag
    }
  }

  package private(set) var objects: [String: Object] = [:]
  package private(set) var nextToken: String?

  package init(parsing bytes: [UInt8]) throws(CommandFailure) {
    let text = String(decoding: bytes, as: UTF8.self)
    guard text.contains("<ListBucketResult") else {
      throw CommandFailure(.failed, "the answer is no S3 listing: check s3_url in the profile, or give --s3-url")
    }
    var rest = text[...]
    while let start = rest.firstRange(of: "<Contents>"), let end = rest.firstRange(of: "</Contents>") {
      guard start.upperBound <= end.lowerBound else { break }
      let part = rest[start.upperBound..<end.lowerBound]
      if let encoded = Self.element("Key", in: part), let key = URIEncoding.decode(Array(encoded.utf8)),
        let bytes = Self.element("Size", in: part).flatMap(Int64.init), let etag = Self.element("ETag", in: part)
      {
        let plain = etag.replacing("&quot;", with: "").replacing("\"", with: "")
        objects[String(decoding: key, as: UTF8.self)] = Object(bytes: bytes, etag: plain)
      }
      rest = rest[end.upperBound...]
    }
    if Self.element("IsTruncated", in: text[...]) == "true" {
      nextToken = Self.element("NextContinuationToken", in: text[...])
    }
  }

  /// The text of the first element of that name.
  static func element(_ name: String, in text: Substring) -> String? {
    guard let start = text.firstRange(of: "<\(name)>") else { return nil }
    let rest = text[start.upperBound...]
    guard let end = rest.firstRange(of: "</\(name)>") else { return nil }
    return String(rest[..<end.lowerBound])
  }
}
