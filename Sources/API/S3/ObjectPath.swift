// What a path on the S3 port names, path-style: `/`, `/bucket`, `/bucket/key`.

package struct ObjectPath: Equatable, Sendable {
  /// Empty for the service itself.
  package let bucket: String
  /// Empty for the bucket itself. Dots and empty segments in it mean nothing.
  package let key: String

  /// `path` is decoded and begins with a slash.
  package init(_ path: String) {
    let bytes = path.utf8.dropFirst()
    let bucket = bytes.prefix { $0 != UInt8(ascii: "/") }
    self.bucket = String(Substring(bucket))
    key = String(Substring(bytes.dropFirst(bucket.count + 1)))
  }
}
