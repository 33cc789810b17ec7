// Bytes as lower-case hexadecimal digits and back.

extension Collection<UInt8> {
  /// Two lower-case digits a byte.
  public var hex: String {
    var text = [UInt8]()
    text.reserveCapacity(count * 2)
    func put(_ nibble: UInt8) { text.append(nibble < 10 ? 48 + nibble : 87 + nibble) }
    for byte in self {
      put(byte >> 4)
      put(byte & 15)
    }
    return String(decoding: text, as: UTF8.self)
  }
}

extension [UInt8] {
  /// Reads pairs of hexadecimal digits of either case; nil for anything else.
  public init?(hex text: some StringProtocol) {
    var bytes = [UInt8]()
    var high: UInt8?
    for digit in text.utf8 {
      let value: UInt8
      switch digit {
      case 48...57: value = digit - 48
      case 97...102: value = digit - 87
      case 65...70: value = digit - 55
      default: return nil
      }
      if let h = high {
        bytes.append(h << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    guard high == nil else { return nil }
    self = bytes
  }
}
