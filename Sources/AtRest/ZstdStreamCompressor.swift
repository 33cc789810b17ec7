// One zstd frame of a length that nobody knows beforehand (ZSTD_compressStream2), for exports; memory is bounded by its
// window, not by the length.
//
// The frame says no size and ends in a checksum of its content. Used by one thread at a time. libzstd's own threads are
// not used. What the settings below save is more than two processors have left for them; each of its jobs begins anew, which
// costs 0.2 to 0.4 % of the bytes; and with new threads for each frame, each leaves some ten MiB in an arena of malloc's.

import CZstd

package final class ZstdStreamCompressor {
  /// What a reader has to keep; fixed, so that the frame's first bytes are always the same.
  package static let windowLog = 21
  /// One table as large as level 3's larger one, and no second one for long matches. On the demo's calls and database: the
  /// bytes of level 3 (0.1 % more) in 55 % of its time. Calls' samples repeat, if at all, as runs of six bytes and more.
  private static let (hashLog, minMatch) = (17, 6)
  private let context: OpaquePointer
  private var output = [UInt8](repeating: 0, count: 256 << 10)

  /// Magic, descriptor (a checksum, no content size) and window of every frame.
  package static let frameStart: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x04, UInt8((windowLog - 10) << 3)]

  package init() {
    guard let context = ZSTD_createCCtx() else { preconditionFailure("out of memory") }
    self.context = context
    set(ZSTD_c_compressionLevel, 3)
    set(ZSTD_c_strategy, Int(ZSTD_fast.rawValue))
    set(ZSTD_c_hashLog, Self.hashLog)
    set(ZSTD_c_minMatch, Self.minMatch)
    set(ZSTD_c_targetLength, 0)
    set(ZSTD_c_windowLog, Self.windowLog)
    set(ZSTD_c_checksumFlag, 1)
  }

  deinit { ZSTD_freeCCtx(context) }

  private func set(_ parameter: ZSTD_cParameter, _ value: Int) {
    let result = ZSTD_CCtx_setParameter(context, parameter, Int32(value))
    precondition(ZSTD_isError(result) == 0, "zstd refuses a setting")
  }

  /// Takes all of `bytes`; `sink` gets what is ready of the frame, in order.
  package func write(_ bytes: RawSpan, _ sink: (ArraySlice<UInt8>) throws -> Void) throws {
    try run(bytes, ZSTD_e_continue, sink)
  }

  /// The rest of the frame. Called once, after at least one byte.
  package func finish(_ sink: (ArraySlice<UInt8>) throws -> Void) throws {
    try run(RawSpan(), ZSTD_e_end, sink)
  }

  private func run(
    _ bytes: RawSpan, _ mode: ZSTD_EndDirective, _ sink: (ArraySlice<UInt8>) throws -> Void
  ) throws {
    var at = 0
    while true {
      let (rest, made, used) = step(bytes, from: at, mode)
      at = used
      if made > 0 { try sink(output[..<made]) }
      if mode == ZSTD_e_end ? rest == 0 : at == bytes.byteCount { return }
    }
  }

  private func step(_ bytes: RawSpan, from start: Int, _ mode: ZSTD_EndDirective) -> (rest: Int, made: Int, used: Int) {
    bytes.withUnsafeBytes { source in
      output.withUnsafeMutableBytes { target in
        var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: start)
        var output = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
        let rest = ZSTD_compressStream2(context, &output, &input, mode)
        precondition(ZSTD_isError(rest) == 0, "zstd failed to compress")
        return (rest, output.pos, input.pos)
      }
    }
  }
}
