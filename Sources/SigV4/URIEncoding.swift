// Percent-encoding as Signature V4 defines it (RFC 3986: everything but unreserved characters, upper-case digits).

package enum URIEncoding {
  /// Bytes of `text` with `%XX` resolved; nil when a `%` is not followed by two hexadecimal digits. `+` stays `+`.
  package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
    var bytes = [UInt8]()
    bytes.reserveCapacity(text.count)
    var rest = text.makeIterator()
    while let byte = rest.next() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard let high = rest.next().flatMap(digit), let low = rest.next().flatMap(digit) else { return nil }
      bytes.append(high << 4 | low)
    }
    return bytes
  }

  /// `bytes` with everything but letters, digits and `-._~` (and `/` when `keepSlash`) as `%XX`.
  package static func encode(_ bytes: some Collection<UInt8>, keepSlash: Bool = false) -> String {
    var text = [UInt8]()
    text.reserveCapacity(bytes.count + 16)
    for byte in bytes { append(byte, keepSlash: keepSlash, to: &text) }
    return String(decoding: text, as: UTF8.self)
  }

  package static func encode(_ text: String, keepSlash: Bool = false) -> String {
    encode(Array(text.utf8), keepSlash: keepSlash)
  }

  /// The canonical form of a path as it came over the wire: dots and empty segments stay, what a client did not encode
  /// is encoded, and a `%2F` stays different from a `/`. Nil when the encoding is broken.
  static func canonicalPath(_ raw: some Collection<UInt8>) -> String? {
    var text = [UInt8]()
    var rest = raw.makeIterator()
    while let byte = rest.next() {
      guard byte == UInt8(ascii: "%") else {
        append(byte, keepSlash: true, to: &text)
        continue
      }
      guard let high = rest.next().flatMap(digit), let low = rest.next().flatMap(digit) else { return nil }
      append(high << 4 | low, keepSlash: false, to: &text)
    }
    return String(decoding: text, as: UTF8.self)
  }

  private static func append(_ byte: UInt8, keepSlash: Bool, to text: inout [UInt8]) {
    switch byte {
    case 48...57, 65...90, 97...122, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
      text.append(byte)
    case UInt8(ascii: "/") where keepSlash:
      text.append(byte)
    default:
      text.append(UInt8(ascii: "%"))
      for nibble in [byte >> 4, byte & 15] { text.append(nibble < 10 ? 48 + nibble : 55 + nibble) }
    }
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 48...57: byte - 48
    case 65...70: byte - 55
    case 97...102: byte - 87
    default: nil
    }
  }
}
