// Looks for a word in bytes, in every guise that a leak would take: as it is, UTF-16 in both orders, hexadecimal,
// base64 at each of its three alignments, and all of these inside of any zstd frame.

import CZstd

struct CanarySearch {
  /// Name of the guise, and its bytes.
  let needles: [(name: String, bytes: [UInt8])]

  init(_ word: String) {
    let plain = Array(word.utf8)
    var needles: [(String, [UInt8])] = [
      ("utf-8", plain), ("utf-16le", plain.flatMap { [$0, 0] }), ("utf-16be", plain.flatMap { [0, $0] }),
      ("hex", plain.flatMap { Self.hex($0, "0123456789abcdef") }),
      ("HEX", plain.flatMap { Self.hex($0, "0123456789ABCDEF") }),
    ]
    for shift in 0..<3 {
      let encoded = Self.base64([UInt8](repeating: 0, count: shift) + plain)
      // The first and last digits hold bits of what stands beside the word.
      let from = shift == 0 ? 0 : shift == 1 ? 2 : 3
      let digits = (shift + plain.count) * 8 / 6
      needles.append(("base64+\(shift)", Array(encoded[from..<digits])))
    }
    self.needles = needles
  }

  private static func hex(_ byte: UInt8, _ digits: String) -> [UInt8] {
    let digits = Array(digits.utf8)
    return [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
  }

  static func base64(_ bytes: [UInt8]) -> [UInt8] {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var out: [UInt8] = []
    var at = 0
    while at < bytes.count {
      let word = (0..<3).reduce(0) { $0 << 8 | (at + $1 < bytes.count ? Int(bytes[at + $1]) : 0) }
      for i in 0..<4 { out.append(digits[word >> (18 - 6 * i) & 63]) }
      at += 3
    }
    return out
  }

  /// Names of the guises that occur; `frames` counts the zstd frames that could be opened.
  func search(_ bytes: [UInt8], frames: inout Int) -> Set<String> {
    var found = plain(bytes)
    var at = 0
    while let start = Self.find([0x28, 0xB5, 0x2F, 0xFD], in: bytes, from: at) {
      at = start + 1
      if let content = Self.frame(bytes, start) {
        frames += 1
        for name in plain(content) { found.insert("zstd/" + name) }
      }
    }
    return found
  }

  private func plain(_ bytes: [UInt8]) -> Set<String> {
    Set(needles.filter { Self.find($0.bytes, in: bytes, from: 0) != nil }.map(\.name))
  }

  private static func find(_ needle: [UInt8], in bytes: [UInt8], from: Int) -> Int? {
    guard bytes.count >= needle.count + from else { return nil }
    return bytes.withUnsafeBufferPointer { hay in
      let last = hay.count - needle.count
      var at = from
      while at <= last {
        if hay[at] == needle[0], hay[at + 1] == needle[1] {
          var i = 2
          while i < needle.count, hay[at + i] == needle[i] { i += 1 }
          if i == needle.count { return at }
        }
        at += 1
      }
      return nil
    }
  }

  /// What a frame at `start` holds; frames without a size get room for 8 MiB.
  private static func frame(_ bytes: [UInt8], _ start: Int) -> [UInt8]? {
    bytes.withUnsafeBytes { all in
      let rest = UnsafeRawBufferPointer(rebasing: all[start...])
      let length = ZSTD_findFrameCompressedSize(rest.baseAddress, rest.count)
      guard ZSTD_isError(length) == 0 else { return nil }
      var room = [UInt8](repeating: 0, count: 8 << 20)
      let got = ZSTD_decompress(&room, room.count, rest.baseAddress, length)
      return ZSTD_isError(got) == 0 ? Array(room[..<got]) : nil
    }
  }
}
