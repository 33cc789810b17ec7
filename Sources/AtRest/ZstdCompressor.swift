// A compression context of libzstd (ZSTD_CCtx), used again for every frame. Used by one thread at a time.

import CZstd

package final class ZstdCompressor: @unchecked Sendable {
  // Invariant: its owner lets one thread at a time use it.
  private let context: OpaquePointer
  private var level = ZSTD_defaultCLevel()
  /// For frames that are only lent.
  private var scratch = UnsafeMutableRawBufferPointer(start: nil, count: 0)

  package init() {
    guard let context = ZSTD_createCCtx() else { preconditionFailure("out of memory") }
    self.context = context
  }

  deinit {
    ZSTD_freeCCtx(context)
    scratch.deallocate()
  }

  /// The most bytes that a frame of `count` bytes can have.
  package static func bound(_ count: Int) -> Int { ZSTD_compressBound(count) }

  package func compress(_ bytes: RawSpan, level: Int = 1) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: Self.bound(bytes.byteCount)) { buffer, used in
      guard let count = compress(bytes, level: level, to: UnsafeMutableRawBufferPointer(buffer)) else {
        preconditionFailure("zstd needs more than its own bound")
      }
      used = count
    }
  }

  func compress<R>(_ bytes: RawSpan, level: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    let bound = Self.bound(bytes.byteCount)
    if scratch.count < bound {
      scratch.deallocate()
      scratch = .allocate(byteCount: max(bound, 64 << 10), alignment: 16)
    }
    guard let count = compress(bytes, level: level, to: scratch) else {
      preconditionFailure("zstd needs more than its own bound")
    }
    return body(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
  }

  /// Writes a frame to the front of `output` and gives its length; nil when it does not fit. libzstd may want some bytes
  /// more than the frame then has; `bound` is always enough.
  package func compress(_ bytes: RawSpan, level: Int = 1, into output: inout MutableRawSpan) -> Int? {
    output.withUnsafeMutableBytes { compress(bytes, level: level, to: $0) }
  }

  private func compress(_ bytes: RawSpan, level: Int, to output: UnsafeMutableRawBufferPointer) -> Int? {
    precondition((-7...19).contains(level), "zstd level \(level)")
    if self.level != Int32(level) {
      self.level = Int32(level)
      let result = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, self.level)
      precondition(ZSTD_isError(result) == 0, "zstd refuses its level")
    }
    let result = bytes.withUnsafeBytes {
      ZSTD_compress2(context, output.baseAddress, output.count, $0.baseAddress, $0.count)
    }
    guard ZSTD_isError(result) != 0 else { return result }
    // After an error the session keeps its state; the level stays.
    ZSTD_CCtx_reset(context, ZSTD_reset_session_only)
    precondition(ZSTD_getErrorCode(result) == ZSTD_error_dstSize_tooSmall, "zstd failed to compress")
    return nil
  }
}
