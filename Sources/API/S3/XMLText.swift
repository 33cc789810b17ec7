// Writes XML documents; every text that goes in is escaped here.

package struct XMLText: Sendable {
  package private(set) var bytes: [UInt8]
  package static let s3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

  package init() { bytes = Array(#"<?xml version="1.0" encoding="UTF-8"?>"#.utf8) + [10] }

  /// An element with content; `name` and `attributes` (as they stand in the document, a blank in front) are ours.
  package mutating func element(
    _ name: StaticString, namespace: String? = nil, attributes: StaticString = "", _ content: (inout XMLText) -> Void
  ) {
    bytes.append(UInt8(ascii: "<"))
    name.withUTF8Buffer { bytes.append(contentsOf: $0) }
    attributes.withUTF8Buffer { bytes.append(contentsOf: $0) }
    if let namespace {
      bytes.append(contentsOf: #" xmlns=""#.utf8)
      append(escaped: namespace)
      bytes.append(UInt8(ascii: "\""))
    }
    bytes.append(UInt8(ascii: ">"))
    content(&self)
    bytes.append(contentsOf: "</".utf8)
    name.withUTF8Buffer { bytes.append(contentsOf: $0) }
    bytes.append(UInt8(ascii: ">"))
  }

  package mutating func element(_ name: StaticString, _ text: String) { element(name) { $0.append(escaped: text) } }

  /// Characters that XML 1.0 cannot carry go as references, which S3's clients read; encoding-type=url avoids them.
  private mutating func append(escaped text: String) {
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "&"): bytes.append(contentsOf: "&amp;".utf8)
      case UInt8(ascii: "<"): bytes.append(contentsOf: "&lt;".utf8)
      case UInt8(ascii: ">"): bytes.append(contentsOf: "&gt;".utf8)
      case UInt8(ascii: "\""): bytes.append(contentsOf: "&quot;".utf8)
      case UInt8(ascii: "'"): bytes.append(contentsOf: "&apos;".utf8)
      case 0..<0x20: bytes.append(contentsOf: "&#\(byte);".utf8)
      default: bytes.append(byte)
      }
    }
  }
}
