// The request target of one HTTP request, taken apart once.
//
// The verifier and the handlers behind it read the same parsed form, so that nothing can be signed as one thing and
// served as another. Nothing is normalised: a path with dots or empty segments is the path that was signed.

package struct RequestTarget: Equatable, Sendable {
  package struct Item: Equatable, Sendable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  /// The path as it came, still encoded; begins with `/`.
  package let rawPath: String
  /// The decoded path.
  package let path: String
  /// Decoded parameters in the order in which they came; no name occurs twice.
  package let query: [Item]
  let canonicalPath: String

  /// Longest target; S3 keys have at most 1,024 bytes, each of which may be encoded in three.
  static let bytesMax = 8192

  /// Takes what stands on the request line between method and version.
  package init(_ target: String) throws(SigV4Error) {
    let bytes = Array(target.utf8)
    guard bytes.first == UInt8(ascii: "/") else {
      throw SigV4Error(.malformed, "The request target must be a path that begins with a slash.")
    }
    guard bytes.count <= Self.bytesMax else { throw SigV4Error(.malformed, "The request target is too long.") }
    guard bytes.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }) else {
      throw SigV4Error(.malformed, "The request target contains characters that must be encoded.")
    }
    let split = bytes.firstIndex(of: UInt8(ascii: "?")) ?? bytes.endIndex
    let pathBytes = bytes[..<split]
    guard let canonical = URIEncoding.canonicalPath(pathBytes),
      let decoded = URIEncoding.decode(pathBytes).flatMap({ String(validating: $0, as: UTF8.self) })
    else { throw SigV4Error(.malformed, "The path is not correctly encoded UTF-8.") }
    rawPath = String(decoding: pathBytes, as: UTF8.self)
    canonicalPath = canonical
    path = decoded
    query = try Self.parseQuery(bytes[split...].dropFirst())
  }

  /// The value of a parameter; an empty one when it has no `=`.
  package func value(_ name: String) -> String? { query.first { $0.name == name }?.value }

  private static func parseQuery(_ bytes: ArraySlice<UInt8>) throws(SigV4Error) -> [Item] {
    var items = [Item]()
    var names = Set<String>()
    for part in bytes.split(separator: UInt8(ascii: "&")) {
      let equals = part.firstIndex(of: UInt8(ascii: "=")) ?? part.endIndex
      guard let name = decoded(part[..<equals]), let value = decoded(part[equals...].dropFirst()) else {
        throw SigV4Error(.malformed, "The query is not correctly encoded UTF-8.")
      }
      guard names.insert(name).inserted else {
        throw SigV4Error(.malformed, "A query parameter occurs more than once.")
      }
      items.append(Item(name, value))
    }
    return items
  }

  /// A `+` in a query is a space, as in S3 and in HTML forms.
  private static func decoded(_ part: ArraySlice<UInt8>) -> String? {
    let spaced = part.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 }
    return URIEncoding.decode(spaced).flatMap { String(validating: $0, as: UTF8.self) }
  }

  /// Sorted by encoded name; names are unique, so values need no order.
  func canonicalQuery(without excluded: String? = nil) -> String {
    query.filter { $0.name != excluded }
      .map { (URIEncoding.encode($0.name), URIEncoding.encode($0.value)) }
      .sorted { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }
      .map { "\($0.0)=\($0.1)" }.joined(separator: "&")
  }
}
