// Base64 with padding (RFC 4648 §4), for checksums in header fields.

package enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let values: [UInt8] = {
    var v = [UInt8](repeating: 255, count: 256)
    for (i, letter) in alphabet.enumerated() { v[Int(letter)] = UInt8(i) }
    return v
  }()

  package static func encode(_ bytes: some Collection<UInt8>) -> String {
    var text = [UInt8]()
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    var rest = bytes.makeIterator()
    while let a = rest.next() {
      let b = rest.next()
      let c = b == nil ? nil : rest.next()
      let word = Int(a) << 16 | Int(b ?? 0) << 8 | Int(c ?? 0)
      text.append(alphabet[word >> 18])
      text.append(alphabet[word >> 12 & 63])
      text.append(b == nil ? UInt8(ascii: "=") : alphabet[word >> 6 & 63])
      text.append(c == nil ? UInt8(ascii: "=") : alphabet[word & 63])
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Nil for anything but letters of the alphabet; the padding may be left out, stray bits must be zero.
  package static func decode(_ text: some StringProtocol) -> [UInt8]? {
    var letters = Array(text.utf8)
    if letters.count % 4 == 0 { for _ in 0..<2 where letters.last == UInt8(ascii: "=") { letters.removeLast() } }
    guard letters.count % 4 != 1 else { return nil }
    var bytes = [UInt8]()
    bytes.reserveCapacity(letters.count * 3 / 4)
    var bits: UInt32 = 0
    var width: UInt32 = 0
    for letter in letters {
      let value = values[Int(letter)]
      guard value < 64 else { return nil }
      bits = bits << 6 | UInt32(value)
      width += 6
      if width >= 8 {
        width -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> width))
        bits &= (1 << width) - 1
      }
    }
    return bits == 0 ? bytes : nil
  }
}
