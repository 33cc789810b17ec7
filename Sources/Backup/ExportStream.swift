// Takes a tar stream apart as it comes: headers, files' bytes, padding, two blocks of zeros, and nothing behind them.

import Base
import Formats

final class ExportStream {
  private enum State {
    /// Collected so far of this many bytes of header.
    case header([UInt8], wanted: Int)
    case body(left: UInt64, padding: Int)
    case padding(left: Int)
    case zeros(left: Int)
    case ended
  }

  private var state = State.header([], wanted: TarEntry.blockBytes)
  private let contents: ExportContents

  init(_ contents: ExportContents) { self.contents = contents }

  func push(_ bytes: ArraySlice<UInt8>) throws {
    var rest = bytes
    while !rest.isEmpty { try step(&rest) }
  }

  func finish() throws {
    guard case .ended = state else { throw FormatError(.truncated, "the tar stream ends early") }
  }

  private func step(_ rest: inout ArraySlice<UInt8>) throws {
    switch state {
    case .header(var collected, let wanted):
      state = .ended
      collected += take(wanted - collected.count, &rest)
      state = collected.count < wanted ? .header(collected, wanted: wanted) : try header(collected)
    case .body(let left, let padding):
      let piece = take(Int(min(left, UInt64(rest.count))), &rest)
      try contents.data(piece)
      try body(left: left - UInt64(piece.count), padding: padding)
    case .padding(let left):
      let piece = try zeros(left, &rest)
      state = piece == left ? .header([], wanted: TarEntry.blockBytes) : .padding(left: left - piece)
    case .zeros(let left):
      let piece = try zeros(left, &rest)
      state = piece == left ? .ended : .zeros(left: left - piece)
    case .ended: throw FormatError(.foreign, "bytes behind the end of the tar stream")
    }
  }

  private func header(_ bytes: [UInt8]) throws -> State {
    if bytes.count == TarEntry.blockBytes {
      switch try TarEntry.kind(of: bytes[...]) {
      case .end: return .zeros(left: TarEntry.blockBytes)
      case .extended(let count):
        let blocks = (count + TarEntry.blockBytes - 1) / TarEntry.blockBytes
        return .header(bytes, wanted: (blocks + 2) * TarEntry.blockBytes)
      case .file: break
      }
    }
    let entry = try TarEntry(decoding: bytes)
    try contents.begin(entry)
    try body(left: entry.bytes, padding: entry.padding)
    return state
  }

  private func body(left: UInt64, padding: Int) throws {
    guard left == 0 else { return state = .body(left: left, padding: padding) }
    try contents.end()
    state = padding > 0 ? .padding(left: padding) : .header([], wanted: TarEntry.blockBytes)
  }

  private func take(_ count: Int, _ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let piece = rest.prefix(count)
    rest = rest.dropFirst(piece.count)
    return piece
  }

  private func zeros(_ most: Int, _ rest: inout ArraySlice<UInt8>) throws -> Int {
    let piece = take(most, &rest)
    guard piece.allSatisfy({ $0 == 0 }) else { throw FormatError(.damaged, "padding that is not zero") }
    return piece.count
  }
}
