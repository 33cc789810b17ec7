// A decompression context of libzstd (ZSTD_DCtx), used again for every frame. Used by one thread at a time.
//
// Only frames that name their content size are read: all of ours do, and so the memory is known beforehand.

import CZstd

package final class ZstdDecompressor: @unchecked Sendable {
  // Invariant: its owner lets one thread at a time use it.
  private let context: OpaquePointer

  package init() {
    guard let context = ZSTD_createDCtx() else { preconditionFailure("out of memory") }
    self.context = context
  }

  deinit { ZSTD_freeDCtx(context) }

  /// What the frame at the front of `bytes` says its content has.
  package static func contentSize(_ bytes: RawSpan) throws(AtRestError) -> Int {
    let size = bytes.withUnsafeBytes { komora_zstd_content_size($0.baseAddress, $0.count) }
    guard size >= 0 else { throw AtRestError(.damaged, "not a zstd frame with a content size") }
    return Int(size)
  }

  package func decompress(_ bytes: RawSpan, limit: Int) throws(AtRestError) -> [UInt8] {
    let size = try Self.contentSize(bytes)
    guard size <= limit else { throw AtRestError(.tooLarge, "a zstd frame of \(size) bytes; \(limit) are allowed") }
    var whole = false
    let content = [UInt8](unsafeUninitializedCapacity: size) { buffer, used in
      whole = decompress(bytes, to: UnsafeMutableRawBufferPointer(buffer)) == size
      used = whole ? size : 0
    }
    guard whole else { throw AtRestError(.damaged, "a zstd frame that does not decode") }
    return content
  }

  /// Writes the content to the front of `output` and gives its length.
  package func decompress(_ bytes: RawSpan, into output: inout MutableRawSpan) throws(AtRestError) -> Int {
    let size = try Self.contentSize(bytes)
    guard size <= output.byteCount else {
      throw AtRestError(.tooLarge, "a zstd frame of \(size) bytes; \(output.byteCount) are allowed")
    }
    let count = output.withUnsafeMutableBytes { decompress(bytes, to: $0) }
    guard count == size else { throw AtRestError(.damaged, "a zstd frame that does not decode") }
    return size
  }

  private func decompress(_ bytes: RawSpan, to output: UnsafeMutableRawBufferPointer) -> Int? {
    let result = bytes.withUnsafeBytes {
      ZSTD_decompressDCtx(context, output.baseAddress, output.count, $0.baseAddress, $0.count)
    }
    return ZSTD_isError(result) == 0 ? result : nil
  }
}
