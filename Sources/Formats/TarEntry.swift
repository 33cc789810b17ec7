// One file in a tar archive: ustar (POSIX.1-1988), with pax extended headers (POSIX.1-2001) where a name or a size does
// not fit it. Layout: Formats.docc/export.md.
//
// Only plain files, and each in one form only: what decodes encodes to the very same bytes, so whatever else a tar file
// may hold (links, devices, other owners, other dialects) is not one of ours and is refused.

import Base

public struct TarEntry: Equatable, Sendable {
  /// UTF-8, relative.
  public var path: String
  public var bytes: UInt64
  /// Seconds since 1970, from 0 to 2^33 - 1.
  public var modified: Int64

  public static let blockBytes = 512
  /// Records of one extended header: a path and a size.
  public static let extendedBytesMax = Limits.exportPathBytesMax + 128
  private static let nameBytesMax = 100
  private static let sizeMax: UInt64 = (1 << 33) - 1
  private static let extendedName = "././@PaxHeader"

  public init(path: String, bytes: UInt64, modified: Int64) {
    self.path = path
    self.bytes = bytes
    self.modified = min(max(modified, 0), Int64(Self.sizeMax))
  }

  /// Zeros that follow the file's bytes.
  public var padding: Int { Int((UInt64(Self.blockBytes) - bytes % UInt64(Self.blockBytes)) % UInt64(Self.blockBytes)) }

  /// The header: an extended one first where it is needed.
  public func encode() -> [UInt8] {
    let records = extendedRecords
    var output: [UInt8] = []
    if !records.isEmpty {
      output += Self.header(name: Self.extendedName, bytes: UInt64(records.count), modified: modified, type: "x")
      output += records
      output += [UInt8](repeating: 0, count: -records.count & (Self.blockBytes - 1))
    }
    return output + Self.header(name: plainName, bytes: bytes > Self.sizeMax ? 0 : bytes, modified: modified, type: "0")
  }

  private var isPlain: Bool {
    path.utf8.count <= Self.nameBytesMax && path.utf8.allSatisfy { (0x20...0x7E).contains($0) }
  }

  /// What tools without extended headers see.
  private var plainName: String {
    String(
      decoding: path.utf8.prefix(Self.nameBytesMax).map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "_") },
      as: UTF8.self)
  }

  private var extendedRecords: [UInt8] {
    var records: [UInt8] = []
    if !isPlain { records += Self.record("path", path) }
    if bytes > Self.sizeMax { records += Self.record("size", "\(bytes)") }
    return records
  }

  /// `<length> <key>=<value>\n`, where the length counts itself.
  private static func record(_ key: String, _ value: String) -> [UInt8] {
    let rest = Array(" \(key)=\(value)\n".utf8)
    var length = rest.count + 1
    while "\(length)".utf8.count + rest.count != length { length = "\(length)".utf8.count + rest.count }
    return Array("\(length)".utf8) + rest
  }

  private static func header(name: String, bytes: UInt64, modified: Int64, type: Unicode.Scalar) -> [UInt8] {
    var block = [UInt8](repeating: 0, count: blockBytes)
    func put(_ text: String, at offset: Int) { for (i, byte) in text.utf8.enumerated() { block[offset + i] = byte } }
    func octal(_ value: UInt64, digits: Int) -> String {
      let text = String(value, radix: 8)
      return String(repeating: "0", count: digits - text.count) + text
    }
    put(name, at: 0)
    put(octal(0o644, digits: 7), at: 100)
    put(octal(0, digits: 7), at: 108)
    put(octal(0, digits: 7), at: 116)
    put(octal(bytes, digits: 11), at: 124)
    put(octal(UInt64(modified), digits: 11), at: 136)
    put("        ", at: 148)
    put(String(type), at: 156)
    put("ustar", at: 257)
    put("00", at: 263)
    let sum = block.reduce(0) { $0 + UInt64($1) }
    put(octal(sum, digits: 6), at: 148)
    block[154] = 0
    block[155] = 0x20
    return block
  }

  // MARK: reading

  /// What a block of 512 bytes at the place of a header is.
  public enum Block: Equatable, Sendable {
    /// Zeros: the archive ends.
    case end
    /// Records of so many bytes follow, then the file's own header.
    case extended(bytes: Int)
    case file
  }

  /// Reads only as much as is needed to know what follows; `init(decoding:)` checks all of it.
  public static func kind(of block: ArraySlice<UInt8>) throws(FormatError) -> Block {
    guard block.count == blockBytes else { throw FormatError(.truncated, "a tar header that ends early") }
    if block.allSatisfy({ $0 == 0 }) { return .end }
    let type = block[block.startIndex + 156]
    switch type {
    case UInt8(ascii: "0"): return .file
    case UInt8(ascii: "x"):
      let bytes = try octal(block, at: 124, digits: 11)
      guard bytes > 0, bytes <= UInt64(extendedBytesMax) else {
        throw FormatError(.limit, "an extended tar header of \(bytes) bytes", at: 124)
      }
      return .extended(bytes: Int(bytes))
    default:
      throw FormatError(
        .foreign, "a tar entry that is no plain file (type \(type)): links, devices and directories are refused",
        at: 156)
    }
  }

  /// Reads what `encode` gives, and nothing else.
  public init(decoding bytes: [UInt8]) throws(FormatError) {
    guard bytes.count >= Self.blockBytes, bytes.count % Self.blockBytes == 0 else {
      throw FormatError(.truncated, "a tar header that ends early")
    }
    let header = bytes[(bytes.count - Self.blockBytes)...]
    guard try Self.kind(of: header) == .file else { throw FormatError(.damaged, "a tar header without a file") }
    var size = try Self.octal(header, at: 124, digits: 11)
    let name = header.prefix(Self.nameBytesMax).prefix { $0 != 0 }
    var path = String(decoding: name, as: UTF8.self)
    if bytes.count > Self.blockBytes {
      guard case .extended(let count) = try Self.kind(of: bytes[..<Self.blockBytes]),
        Self.blockBytes + count <= bytes.count - Self.blockBytes
      else { throw FormatError(.damaged, "a tar header behind something else") }
      let records = try Self.records(bytes[Self.blockBytes..<(Self.blockBytes + count)])
      path = records["path"] ?? path
      if let text = records["size"] {
        guard let wide = UInt64(text) else { throw FormatError(.damaged, "a size in a tar header that is no number") }
        size = wide
      }
    }
    self.init(path: path, bytes: size, modified: Int64(try Self.octal(header, at: 136, digits: 11)))
    guard encode() == bytes else { throw FormatError(.damaged, "a tar header in another form than exports have") }
  }

  private static func octal(_ block: ArraySlice<UInt8>, at offset: Int, digits: Int) throws(FormatError) -> UInt64 {
    var value: UInt64 = 0
    for byte in block[(block.startIndex + offset)..<(block.startIndex + offset + digits)] {
      guard (48...55).contains(byte) else {
        throw FormatError(.damaged, "a tar header with a strange number", at: offset)
      }
      value = value << 3 | UInt64(byte - 48)
    }
    return value
  }

  private static func records(_ bytes: ArraySlice<UInt8>) throws(FormatError) -> [String: String] {
    var found: [String: String] = [:]
    var rest = bytes
    while !rest.isEmpty {
      guard let space = rest.prefix(8).firstIndex(of: 0x20),
        let length = Int(String(decoding: rest[..<space], as: UTF8.self)),
        length > 0, length <= rest.count, rest[rest.startIndex + length - 1] == 0x0A,
        let equals = rest[..<(rest.startIndex + length)].firstIndex(of: UInt8(ascii: "=")), equals > space
      else { throw FormatError(.damaged, "an extended tar header that cannot be read", at: rest.startIndex) }
      let key = String(decoding: rest[(space + 1)..<equals], as: UTF8.self)
      found[key] = String(decoding: rest[(equals + 1)..<(rest.startIndex + length - 1)], as: UTF8.self)
      rest = rest[(rest.startIndex + length)...]
    }
    return found
  }
}
