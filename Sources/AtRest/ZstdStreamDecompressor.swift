// Decodes one zstd frame piece by piece (ZSTD_decompressStream). Memory is bounded by the window that is allowed, not by
// what the frame says of itself. Used by one thread at a time.

import CZstd

package final class ZstdStreamDecompressor {
  private let context: OpaquePointer
  private var output = [UInt8](repeating: 0, count: 128 << 10)
  /// The frame has ended; nothing more is taken.
  package private(set) var isFinished = false

  package init(windowLogMax: Int) {
    guard let context = ZSTD_createDCtx() else { preconditionFailure("out of memory") }
    self.context = context
    let result = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Int32(windowLogMax))
    precondition(ZSTD_isError(result) == 0, "zstd refuses a window")
  }

  deinit { ZSTD_freeDCtx(context) }

  /// Takes bytes until there are no more or the frame ends; gives how many it took. `.damaged` when they do not decode.
  package func read(_ bytes: [UInt8], _ sink: (ArraySlice<UInt8>) throws -> Void) throws -> Int {
    var at = 0
    while !isFinished {
      let (hint, made, used) = step(bytes, from: at)
      guard ZSTD_isError(hint) == 0 else {
        throw AtRestError(.damaged, "a zstd frame that does not decode (\(String(cString: ZSTD_getErrorName(hint))))")
      }
      at = used
      isFinished = hint == 0
      if made > 0 { try sink(output[..<made]) }
      // What did not fit is still inside.
      if at == bytes.count, made < output.count { break }
    }
    return at
  }

  private func step(_ bytes: [UInt8], from start: Int) -> (hint: Int, made: Int, used: Int) {
    bytes.withUnsafeBytes { source in
      output.withUnsafeMutableBytes { target in
        var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: start)
        var output = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
        let hint = ZSTD_decompressStream(context, &output, &input)
        return (hint, output.pos, input.pos)
      }
    }
  }
}
