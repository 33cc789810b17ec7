// The value of `x-amz-copy-source`: a bucket and a key, percent-encoded, with or without a slash in front.

import SigV4

package struct CopySource: Equatable, Sendable {
  package let bucket: String
  package let key: String

  package init(_ field: String) throws(S3Error) {
    let path = field.utf8.first == UInt8(ascii: "/") ? field : "/" + field
    guard !path.utf8.contains(UInt8(ascii: "?")) else { throw .notImplemented("A version of a copy's source") }
    guard let decoded = URIEncoding.decode(path.utf8).flatMap({ String(validating: $0, as: UTF8.self) }) else {
      throw .invalidArgument("The copy source is not correctly encoded.")
    }
    let named = ObjectPath(decoded)
    guard !named.bucket.isEmpty, (1...S3Request.keyBytesMax).contains(named.key.utf8.count) else {
      throw .invalidArgument("The copy source must name a bucket and a key.")
    }
    (bucket, key) = (named.bucket, named.key)
  }
}
