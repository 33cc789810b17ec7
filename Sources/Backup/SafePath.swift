// A recording's key as a path below a directory, whatever the key holds.
//
// Keys come from outside: they may be absolute, climb with "..", hold NUL or be a directory for other keys. Each part
// between slashes is escaped like a URL, so that different keys have different paths: bytes below space, DEL, "%", "\",
// ":" and "~" become %XX, as do "." and ".." as whole parts; an empty part becomes "%". A part longer than 200 bytes is
// cut and ends in "~" and a hash of all of it; a file that would have to be a directory as well ends in "~".

import Base
import OpenSSL

struct SafePath {
  private static let partBytesMax = 200
  /// Paths that are directories of other keys.
  private var directories: Set<String> = []

  /// `keys` are all keys that will be asked for.
  init(keys: some Sequence<String>) {
    for key in keys { note(key) }
  }

  init() {}

  /// A key that will be asked for.
  mutating func note(_ key: String) {
    let parts = Self.parts(key)
    for count in 1..<max(parts.count, 1) { directories.insert(parts[..<count].joined(separator: "/")) }
  }

  /// Relative, without empty, "." or ".." parts.
  func path(of key: String) -> String {
    let path = Self.parts(key).joined(separator: "/")
    return directories.contains(path) ? path + "~" : path
  }

  /// As `path(of:)` for somebody who knows whether other keys lie below this one.
  static func path(of key: String, isDirectory: Bool) -> String {
    let path = parts(key).joined(separator: "/")
    return isDirectory ? path + "~" : path
  }

  /// `name` as the name of one file: a slash in it is escaped too.
  static func file(_ name: String) -> String { escape(name.utf8[...]) }

  private static func parts(_ key: String) -> [String] {
    key.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map(escape)
  }

  private static func escape(_ part: Substring.UTF8View) -> String {
    if part.isEmpty { return "%" }
    if part.elementsEqual(".".utf8) { return "%2E" }
    if part.elementsEqual("..".utf8) { return "%2E%2E" }
    var text: [UInt8] = []
    for byte in part {
      if byte < 0x20 || byte == 0x7F || "%\\:~/".utf8.contains(byte) {
        text += [UInt8(ascii: "%")] + [byte].hex.uppercased().utf8
      } else {
        text.append(byte)
      }
    }
    if text.count > partBytesMax {
      var end = partBytesMax - 20
      // Not in the middle of a character.
      while end > 0, text[end] & 0xC0 == 0x80 { end -= 1 }
      text = Array(text[..<end]) + Array("~\(SHA256.hash(Array(part)).prefix(8).hex)".utf8)
    }
    return String(decoding: text, as: UTF8.self)
  }
}
