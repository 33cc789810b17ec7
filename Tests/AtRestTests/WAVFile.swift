// Headers of WAV files as recorders write them, right and wrong.

import Base
import Formats

struct WAVFile {
  var encoding: SampleEncoding
  var channels: Int
  var riff = "RIFF"
  var isExtensible = false
  /// Chunks before the format and before the data.
  var first: [UInt8] = []
  var between: [UInt8] = []
  /// What the size fields say, when not the truth.
  var riffSize: UInt32?
  var dataSize: UInt32?

  static func chunk(_ id: String, _ content: [UInt8], padded: Bool = true) -> [UInt8] {
    var w = ByteWriter()
    w.put(raw: id.utf8)
    w.put(UInt32(content.count))
    w.put(raw: content)
    if padded, content.count % 2 == 1 { w.put(UInt8(0)) }
    return w.bytes
  }

  func header(dataBytes: Int) -> [UInt8] {
    let body = Array("WAVE".utf8) + first + Self.chunk("fmt ", format) + between
    var w = ByteWriter()
    w.put(raw: riff.utf8)
    w.put(riffSize ?? UInt32(truncatingIfNeeded: body.count + 8 + dataBytes))
    w.put(raw: body)
    w.put(raw: "data".utf8)
    w.put(dataSize ?? UInt32(truncatingIfNeeded: dataBytes))
    return w.bytes
  }

  private var format: [UInt8] {
    let tag: UInt16 = encoding == .muLaw ? 7 : encoding == .aLaw ? 6 : 1
    var w = ByteWriter()
    w.put(isExtensible ? 0xFFFE : tag)
    w.put(UInt16(channels))
    w.put(UInt32(8000))
    w.put(UInt32(8000 * channels * encoding.bytes))
    w.put(UInt16(channels * encoding.bytes))
    w.put(UInt16(8 * encoding.bytes))
    guard isExtensible else { return w.bytes }
    w.put(UInt16(22))
    w.put(UInt16(8 * encoding.bytes))
    w.put(UInt32(3))
    w.put(tag)
    w.put(raw: [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71])
    return w.bytes
  }
}
