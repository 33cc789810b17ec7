// An object's tags: at most ten pairs, in a header field as a query, in a document of their own as XML.

import HTTPTypes
package import SigV4

package struct ObjectTags: Sendable, Equatable {
  /// In the order in which they came.
  package private(set) var pairs: [RequestTarget.Item] = []

  package static let countMax = 10

  package var isEmpty: Bool { pairs.isEmpty }
  package var count: Int { pairs.count }

  package init() {}

  /// As `x-amz-tagging` has them: `name=value&…`, percent-encoded.
  package init(header: String) throws(S3Error) {
    for part in header.utf8.split(separator: UInt8(ascii: "&")) {
      let equals = part.firstIndex(of: UInt8(ascii: "=")) ?? part.endIndex
      guard let name = Self.decoded(part[..<equals]), let value = Self.decoded(part[equals...].dropFirst()) else {
        throw S3Error.invalidArgument("The tags of x-amz-tagging are not correctly encoded.")
      }
      try add(name, value)
    }
  }

  /// `<Tagging><TagSet><Tag><Key>…</Key><Value>…</Value></Tag>…</TagSet></Tagging>`
  package init(xml: [UInt8]) throws(S3Error) {
    let tag = ["Tagging", "TagSet", "Tag"]
    var key: String?
    var value: String?
    var found: [(String, String)] = []
    try XMLDocument.read(
      xml, name: "Tagging", known: [["Tagging"], ["Tagging", "TagSet"], tag, tag + ["Key"], tag + ["Value"]]
    ) { path, text throws(S3Error) in
      switch path.last {
      case "Key": key = text
      case "Value": value = text
      case "Tag":
        guard let k = key, let v = value else { throw XMLDocument.malformed("Tagging") }
        found.append((k, v))
        (key, value) = (nil, nil)
      default: break
      }
    }
    for (name, value) in found { try add(name, value) }
  }

  /// For `x-amz-tagging`, and how they are kept.
  package var header: String {
    pairs.map { "\(URIEncoding.encode($0.name))=\(URIEncoding.encode($0.value))" }.joined(separator: "&")
  }

  package var document: XMLText {
    var document = XMLText()
    document.element("Tagging", namespace: XMLText.s3Namespace) { xml in
      xml.element("TagSet") { xml in
        for pair in pairs {
          xml.element("Tag") { xml in
            xml.element("Key", pair.name)
            xml.element("Value", pair.value)
          }
        }
      }
    }
    return document
  }

  private mutating func add(_ name: String, _ value: String) throws(S3Error) {
    guard pairs.count < Self.countMax else {
      throw S3Error(.badRequest, "BadRequest", "An object has at most \(Self.countMax) tags.")
    }
    guard (1...128).contains(name.unicodeScalars.count), value.unicodeScalars.count <= 256 else {
      throw S3Error(.badRequest, "InvalidTag", "A tag's key has 1 to 128 characters, its value at most 256.")
    }
    guard !pairs.contains(where: { $0.name.utf8.elementsEqual(name.utf8) }) else {
      throw S3Error(.badRequest, "InvalidTag", "A tag's key occurs more than once.")
    }
    pairs.append(.init(name, value))
  }

  private static func decoded(_ part: Substring.UTF8View) -> String? {
    let spaced = part.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 }
    return URIEncoding.decode(spaced).flatMap { String(validating: $0, as: UTF8.self) }
  }
}
