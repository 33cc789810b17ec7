// AES-256-GCM (NIST SP 800-38D): the seal of everything that Komora stores.
//
// An instance keeps one context for each direction, with the key schedule in place; a call allocates nothing beyond its
// result. A sealed message is the cipher text, as long as the plain text, then the tag of 16 bytes.
//
// An instance is used by one thread at a time: it has no lock of its own.

package final class AESGCM: Sendable {
  package static let nonceBytes = CipherContext.nonceBytes
  package static let tagBytes = CipherContext.tagBytes
  private let sealing: CipherContext
  private let opening: CipherContext

  /// `key` has 32 bytes.
  package init(key: SecretBytes) {
    sealing = CipherContext(Algorithms.aes256gcm, key: key)
    opening = CipherContext(Algorithms.aes256gcm, key: key)
  }

  /// Writes cipher text and tag to `sealed`, which has room for exactly 16 bytes more than `plain`. A nonce of 12 bytes
  /// serves once under a key.
  package func seal(_ plain: RawSpan, nonce: RawSpan, aad: RawSpan, into sealed: inout MutableRawSpan) {
    precondition(sealed.byteCount == plain.byteCount + Self.tagBytes, "a sealed message has 16 bytes more")
    plain.withUnsafeBytes { input in
      sealed.withUnsafeMutableBytes { output in
        let start = output.baseAddress!
        sealing.seal(input, to: start, tag: start + input.count, nonce: nonce, aad: aad)
      }
    }
  }

  package func seal(_ plain: RawSpan, nonce: [UInt8], aad: RawSpan, into sealed: inout MutableRawSpan) {
    seal(plain, nonce: nonce.span.bytes, aad: aad, into: &sealed)
  }

  /// Writes the plain text to `plain`, which is exactly 16 bytes shorter than `sealed`. False when key, nonce,
  /// associated data or bytes do not belong together; `plain` is then zeroed.
  package func open(_ sealed: RawSpan, nonce: RawSpan, aad: RawSpan, into plain: inout MutableRawSpan) -> Bool {
    guard sealed.byteCount >= Self.tagBytes else { return false }
    precondition(plain.byteCount == sealed.byteCount - Self.tagBytes, "a sealed message has 16 bytes more")
    return sealed.withUnsafeBytes { input in
      plain.withUnsafeMutableBytes { output in
        let text = UnsafeRawBufferPointer(rebasing: input.dropLast(Self.tagBytes))
        let tag = input.baseAddress! + text.count
        return opening.open(text, to: output.baseAddress, tag: tag, nonce: nonce, aad: aad)
      }
    }
  }

  package func open(_ sealed: RawSpan, nonce: [UInt8], aad: RawSpan, into plain: inout MutableRawSpan) -> Bool {
    open(sealed, nonce: nonce.span.bytes, aad: aad, into: &plain)
  }

  /// Seals `bytes[text]` where it lies and writes the tag to the 16 bytes at `tag`, which lie outside `text`.
  package func sealInPlace(
    _ bytes: inout MutableRawSpan, text: Range<Int>, tag: Int, nonce: RawSpan, aad: RawSpan
  ) {
    Self.check(text, tag, bytes.byteCount)
    bytes.withUnsafeMutableBytes { buffer in
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[text])
      let mark = buffer.baseAddress! + tag
      sealing.seal(UnsafeRawBufferPointer(part), to: part.baseAddress, tag: mark, nonce: nonce, aad: aad)
    }
  }

  /// Opens `bytes[text]` where it lies; when the tag at `tag` does not fit, zeroes it and gives false.
  package func openInPlace(
    _ bytes: inout MutableRawSpan, text: Range<Int>, tag: Int, nonce: RawSpan, aad: RawSpan
  ) -> Bool {
    Self.check(text, tag, bytes.byteCount)
    return bytes.withUnsafeMutableBytes { buffer in
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[text])
      let mark = UnsafeRawPointer(buffer.baseAddress! + tag)
      return opening.open(UnsafeRawBufferPointer(part), to: part.baseAddress, tag: mark, nonce: nonce, aad: aad)
    }
  }

  /// Cipher text and tag.
  package func seal(_ plain: [UInt8], nonce: [UInt8], aad: [UInt8]) -> [UInt8] {
    var sealed = [UInt8](repeating: 0, count: plain.count + Self.tagBytes)
    var span = sealed.mutableSpan
    var raw = span.mutableBytes
    seal(plain.span.bytes, nonce: nonce.span.bytes, aad: aad.span.bytes, into: &raw)
    return sealed
  }

  /// Nil when key, nonce, associated data or bytes do not belong together.
  package func open(_ sealed: [UInt8], nonce: [UInt8], aad: [UInt8]) -> [UInt8]? {
    open(sealed.span.bytes, nonce: nonce.span.bytes, aad: aad.span.bytes)
  }

  package func open(_ sealed: RawSpan, nonce: RawSpan, aad: RawSpan) -> [UInt8]? {
    let count = sealed.byteCount - Self.tagBytes
    guard count >= 0 else { return nil }
    var isWhole = false
    // Not zeroed first: a failed call leaves nothing of it.
    let plain = [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
      isWhole = sealed.withUnsafeBytes { input in
        let text = UnsafeRawBufferPointer(rebasing: input.prefix(count))
        let output = UnsafeMutableRawPointer(buffer.baseAddress)
        return opening.open(text, to: output, tag: input.baseAddress! + count, nonce: nonce, aad: aad)
      }
      used = isWhole ? count : 0
    }
    return isWhole ? plain : nil
  }

  private static func check(_ text: Range<Int>, _ tag: Int, _ count: Int) {
    precondition(text.lowerBound >= 0 && text.upperBound <= count && tag >= 0 && tag + tagBytes <= count)
    precondition(!text.overlaps(tag..<(tag + tagBytes)), "the tag lies outside the text")
  }
}
