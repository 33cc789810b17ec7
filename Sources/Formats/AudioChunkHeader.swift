// What stands before the coded samples of an audio chunk: how the original bytes fall into verbatim ends and sample
// frames, and how those were coded. The bytes are described in Formats.docc/audio-chunk.md.
//
// It says nothing of what the decoder's caller knows already, but for the original's hash: that ties the result to the
// bytes that were given, whatever a later decoder makes of the payload.

import Base

public struct AudioChunkHeader: Sendable, Equatable {
  static let version: UInt8 = 1
  static let fixedBytes = 32
  /// More than a front or back of this length goes through zstd when that makes it smaller.
  public static let verbatimBytesMax = 200
  public static let tableValuesMax = 256
  public static let channelsMax = 8

  /// How the numbers became the payload.
  public enum Coder: UInt8, Sendable, CaseIterable {
    /// FLAC frames (RFC 9639) without any metadata.
    case flac = 1
    /// Fixed predictors, residuals in one zstd frame.
    case hybrid = 2
  }

  /// Verbatim bytes before or behind the sample frames: so many, in so many bytes of the chunk. Fewer: one zstd frame.
  public struct Verbatim: Sendable, Equatable {
    public var originalBytes: Int
    public var codedBytes: Int

    public init(originalBytes: Int, codedBytes: Int) {
      self.originalBytes = originalBytes
      self.codedBytes = codedBytes
    }
  }

  public var encoding: SampleEncoding
  public var coder: Coder
  /// Of one sample for each channel.
  public var sampleFrames: Int
  public var front: Verbatim
  public var back: Verbatim
  /// XXH64 of the original bytes.
  public var originalHash: UInt64
  /// One for each channel.
  public var mappings: [ChannelMapping]

  public init(
    encoding: SampleEncoding, coder: Coder, sampleFrames: Int, front: Verbatim, back: Verbatim, originalHash: UInt64,
    mappings: [ChannelMapping]
  ) {
    self.encoding = encoding
    self.coder = coder
    self.sampleFrames = sampleFrames
    self.front = front
    self.back = back
    self.originalHash = originalHash
    self.mappings = mappings
  }

  public var channels: Int { mappings.count }
  public var sampleFrameBytes: Int { channels * encoding.bytes }
  public var originalBytes: Int { front.originalBytes + sampleFrames * sampleFrameBytes + back.originalBytes }

  /// Bits of the coded numbers: 8 when every channel has ranks or bytes, else those of the samples.
  public var numberBits: Int {
    mappings.contains(.plain) ? 8 * encoding.bytes : 8
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.fixedBytes + channels)
    w.put(Self.version)
    w.put(encoding.rawValue)
    w.put(UInt8(channels))
    w.put(coder.rawValue)
    for count in [sampleFrames, front.originalBytes, front.codedBytes, back.originalBytes, back.codedBytes] {
      w.put(UInt32(count))
    }
    w.put(originalHash)
    for mapping in mappings { w.put(mapping.code) }
    for case .table(let values) in mappings { Self.put(values, &w) }
    return w.bytes
  }

  /// Reads the header at the front of `bytes`, with how long it was.
  public static func take(_ bytes: ArraySlice<UInt8>) throws(FormatError) -> (header: AudioChunkHeader, length: Int) {
    guard bytes.count >= fixedBytes else {
      throw FormatError(.truncated, "an audio chunk that ends in its header", at: bytes.count)
    }
    let start = bytes.startIndex
    guard bytes[start] == version, let encoding = SampleEncoding(rawValue: bytes[start + 1]),
      let coder = Coder(rawValue: bytes[start + 3])
    else { throw FormatError(.version, "an audio chunk of a newer version") }
    var r = ByteReader(bytes)
    let header: AudioChunkHeader
    do throws(BytesError) { header = try AudioChunkHeader(encoding, coder, &r) } catch {
      throw FormatError(.damaged, error.message, at: error.offset)
    }
    guard header.originalBytes <= Limits.recordingChunkBytes else {
      throw FormatError(.limit, "an audio chunk of \(header.originalBytes) original bytes", at: 4)
    }
    return (header, r.offset)
  }

  private init(_ encoding: SampleEncoding, _ coder: Coder, _ r: inout ByteReader) throws(BytesError) {
    self.encoding = encoding
    self.coder = coder
    _ = try r.take(raw: 2)
    let channels: UInt8 = try r.take()
    _ = try r.take(raw: 1)
    guard (1...Self.channelsMax).contains(Int(channels)) else {
      throw BytesError("an audio chunk of \(channels) channels", at: 2)
    }
    guard coder == .flac || encoding.bytes <= 2 else {
      throw BytesError("an audio chunk with a coder that is not for its samples", at: 3)
    }
    sampleFrames = Int(try r.take(UInt32.self))
    front = try Self.verbatim(&r)
    back = try Self.verbatim(&r)
    originalHash = try r.take()
    mappings = []
    for code in try r.take(raw: Int(channels)) {
      switch code {
      case 0: mappings.append(.plain)
      case 1: mappings.append(.muLaw)
      case 2: mappings.append(.aLaw)
      case 3: mappings.append(.table([]))
      default: throw BytesError("an unknown mapping \(code)", at: Self.fixedBytes)
      }
    }
    guard encoding == .pcm16 || mappings.allSatisfy({ $0 == .plain }) else {
      throw BytesError("a mapping of samples that are not 16-bit PCM", at: Self.fixedBytes)
    }
    for channel in mappings.indices where mappings[channel] == .table([]) {
      mappings[channel] = .table(try Self.takeTable(&r))
    }
  }

  private static func verbatim(_ r: inout ByteReader) throws(BytesError) -> Verbatim {
    let at = r.offset
    let verbatim = Verbatim(originalBytes: Int(try r.take(UInt32.self)), codedBytes: Int(try r.take(UInt32.self)))
    guard verbatim.codedBytes <= verbatim.originalBytes, verbatim.originalBytes <= Limits.recordingChunkBytes else {
      throw BytesError("a verbatim part with lengths that no writer makes", at: at)
    }
    return verbatim
  }

  /// How many, less one; the first value; then each one's distance from the one before, less one, seven bits a byte.
  private static func put(_ values: [Int16], _ w: inout ByteWriter) {
    precondition((1...tableValuesMax).contains(values.count), "a table has 1 to 256 values")
    w.put(UInt8(values.count - 1))
    w.put(values[0])
    for (value, previous) in zip(values.dropFirst(), values) {
      var distance = Int(value) - Int(previous) - 1
      precondition(distance >= 0, "a table ascends")
      while distance > 127 {
        w.put(UInt8(128 | distance & 127))
        distance >>= 7
      }
      w.put(UInt8(distance))
    }
  }

  private static func takeTable(_ r: inout ByteReader) throws(BytesError) -> [Int16] {
    let count = Int(try r.take(UInt8.self)) + 1
    var value = Int(try r.take(Int16.self))
    var values = [Int16(value)]
    values.reserveCapacity(count)
    while values.count < count {
      let at = r.offset
      var (distance, shift) = (0, 0)
      while true {
        let byte = Int(try r.take(UInt8.self))
        distance |= (byte & 127) << shift
        shift += 7
        if byte < 128 { break }
        guard shift < 21 else { throw BytesError("a distance in a table that is too long", at: at) }
      }
      value += distance + 1
      guard let next = Int16(exactly: value) else { throw BytesError("a table that leaves 16 bits", at: at) }
      values.append(next)
    }
    return values
  }
}
