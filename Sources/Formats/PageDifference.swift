// What changed in a page: runs of 8-byte words that differ, with their new content.
//
// Runs instead of a XOR of the whole page: the compressor then sees only what changed, and text stays as compressible as
// it was. A run is its first word (2 bytes), its count of words (2 bytes), then the
// words. Runs ascend and never touch.

import Base

public struct PageDifference: Sendable, Equatable {
  static let words = Limits.pageBytes / 8
  /// The runs as they are stored.
  public let runs: [UInt8]

  /// What turns `base` into `page`; both have a page's length.
  public init(from base: [UInt8], to page: [UInt8]) {
    var out = ByteWriter(capacity: 256)
    Self.put(from: base, to: page, into: &out)
    runs = out.bytes
  }

  /// Appends the runs that turn `base` into `page`.
  static func put(from base: [UInt8], to page: [UInt8], into out: inout ByteWriter) {
    precondition(base.count == Limits.pageBytes && page.count == Limits.pageBytes)
    let (old, new) = unsafe (base.span.bytes, page.span.bytes)
    var word = 0
    while word < Self.words {
      // Most of a page is as it was: eight words at a time.
      if word % 8 == 0, Self.eightEqual(old, new, word) {
        word += 8
        continue
      }
      guard Self.differs(old, new, word) else {
        word += 1
        continue
      }
      var end = word + 1
      // A single equal word between two runs costs more as a gap than as content.
      while end < Self.words, Self.differs(old, new, end) || (end + 1 < Self.words && Self.differs(old, new, end + 1)) {
        end += 1
      }
      out.put(UInt16(word))
      out.put(UInt16(end - word))
      out.put(raw: page[(word * 8)..<(end * 8)])
      word = end
    }
  }

  /// Reads runs that came from outside; refuses what does not lie in a page or does not ascend.
  public init(runs: [UInt8]) throws(FormatError) {
    var at = 0
    var next = 0
    while at < runs.count {
      guard at + 4 <= runs.count else { throw FormatError(.truncated, "a run ends early", at: at) }
      let (start, count) = Self.run(runs, at)
      guard start >= next, count > 0, start + count <= Self.words, at + 4 + count * 8 <= runs.count else {
        throw FormatError(.damaged, "a run that does not lie in its page", at: at)
      }
      next = start + count
      at += 4 + count * 8
    }
    self.runs = runs
  }

  /// The page that `base` becomes.
  public func applied(to base: [UInt8]) -> [UInt8] {
    var page = base
    var at = 0
    while at < runs.count {
      let (start, count) = Self.run(runs, at)
      page.replaceSubrange((start * 8)..<((start + count) * 8), with: runs[(at + 4)..<(at + 4 + count * 8)])
      at += 4 + count * 8
    }
    return page
  }

  private static func run(_ runs: [UInt8], _ at: Int) -> (start: Int, count: Int) {
    (Int(runs[at]) | Int(runs[at + 1]) << 8, Int(runs[at + 2]) | Int(runs[at + 3]) << 8)
  }

  @inline(__always) private static func eightEqual(_ a: RawSpan, _ b: RawSpan, _ word: Int) -> Bool {
    @inline(__always) func changed(_ i: Int) -> UInt64 {
      let old = unsafe a.unsafeLoadUnaligned(fromUncheckedByteOffset: (word + i) * 8, as: UInt64.self)
      let new = unsafe b.unsafeLoadUnaligned(fromUncheckedByteOffset: (word + i) * 8, as: UInt64.self)
      return old ^ new
    }
    let first = changed(0) | changed(1) | changed(2) | changed(3)
    return first | changed(4) | changed(5) | changed(6) | changed(7) == 0
  }

  @inline(__always) private static func differs(_ a: RawSpan, _ b: RawSpan, _ word: Int) -> Bool {
    let old = unsafe a.unsafeLoadUnaligned(fromUncheckedByteOffset: word * 8, as: UInt64.self)
    let new = unsafe b.unsafeLoadUnaligned(fromUncheckedByteOffset: word * 8, as: UInt64.self)
    return old != new
  }
}
