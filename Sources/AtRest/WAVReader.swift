// Walks the chunks of a RIFF or RF64 file (Multimedia Programming Interface and Data Specifications 1.0; EBU Tech 3306)
// up to its samples. Takes any bytes: every read is checked against what is there, every step goes forward.

import Base
import Formats

struct WAVReader {
  private let bytes: [UInt8]
  /// Nil when more of the file may follow than was given.
  private let fileBytes: Int?
  private var format: (encoding: SampleEncoding, channels: Int)?
  /// RF64's own size of the data.
  private var wideDataBytes: UInt64?

  init(_ bytes: [UInt8], fileBytes: Int?) {
    self.bytes = bytes
    self.fileBytes = fileBytes
  }

  mutating func shape() -> WAVShape? {
    // RIFX has its numbers the other way round; nobody records calls in it.
    guard name(0) == "RIFF" || name(0) == "RF64", name(8) == "WAVE" else { return nil }
    var at = 12
    while let id = name(at), let size = number(at + 4) {
      let start = at + 8
      switch id {
      case "data": return format.map { shape($0, from: start, size: size) }
      case "fmt ": if format == nil { format = readFormat(start, Int(size)) }
      case "ds64": wideDataBytes = number(start + 8).flatMap { low in number(start + 12).map { low | $0 << 32 } }
      default: if !isPlausible(at) { return nil }
      }
      at = next(start, Int(size))
    }
    return nil
  }

  private func shape(_ format: (encoding: SampleEncoding, channels: Int), from start: Int, size: UInt64) -> WAVShape {
    WAVShape(encoding: format.encoding, channels: format.channels, data: start..<end(of: start, size))
  }

  /// Behind the samples. Sizes that cannot be true: none, all ones, past the file's end, or in the middle of it with
  /// nothing behind that looks like a chunk.
  private func end(of start: Int, _ size: UInt64) -> Int {
    let size = size == 0xFFFF_FFFF ? wideDataBytes ?? 0 : size
    guard size > 0, size < UInt64(Int.max - start) else { return .max }
    let end = start + Int(size)
    if let fileBytes, end > fileBytes { return .max }
    guard end + 9 <= bytes.count else { return end }
    return isPlausible(next(start, Int(size))) ? end : .max
  }

  private func readFormat(_ start: Int, _ size: Int) -> (encoding: SampleEncoding, channels: Int)? {
    guard size >= 16, start + min(size, 40) <= bytes.count else { return nil }
    var tag = half(start)
    if tag == 0xFFFE {
      guard size >= 40, Array(bytes[start + 26..<start + 40]) == Self.subformat else { return nil }
      tag = half(start + 24)
    }
    let (channels, align, bits) = (half(start + 2), half(start + 12), half(start + 14))
    guard (1...AudioChunkHeader.channelsMax).contains(channels), let encoding = Self.encoding(tag, bits: bits),
      align == channels * encoding.bytes
    else { return nil }
    return (encoding, channels)
  }

  private static func encoding(_ tag: Int, bits: Int) -> SampleEncoding? {
    switch (tag, bits) {
    case (1, 8): .pcm8
    case (1, 16): .pcm16
    case (1, 24): .pcm24
    case (1, 32): .pcm32
    case (6, 8): .aLaw
    case (7, 8): .muLaw
    default: nil
    }
  }

  /// Behind the format's tag in the identifiers of WAVE_FORMAT_EXTENSIBLE.
  private static let subformat: [UInt8] = [0, 0, 0, 0, 16, 0, 128, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]

  /// Where the chunk behind one of `size` bytes at `start` begins: a zero makes odd sizes even, unless the writer forgot.
  private func next(_ start: Int, _ size: Int) -> Int {
    let end = start + size
    return size & 1 == 1 && !isPlausible(end) ? end + 1 : end
  }

  /// Ids of chunks are four printable letters.
  private func isPlausible(_ at: Int) -> Bool {
    at + 4 <= bytes.count && bytes[at..<at + 4].allSatisfy { (0x20...0x7E).contains($0) }
  }

  private func name(_ at: Int) -> String? {
    at + 4 <= bytes.count ? String(decoding: bytes[at..<at + 4], as: Unicode.ASCII.self) : nil
  }

  private func number(_ at: Int) -> UInt64? {
    guard at + 4 <= bytes.count else { return nil }
    return (0..<4).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
  }

  private func half(_ at: Int) -> Int { Int(bytes[at]) | Int(bytes[at + 1]) << 8 }
}
