// The cipher of one sender's datagrams since one start of it: key and nonce as Formats.docc/fabric.md says.

import Base
import Formats
import OpenSSL

struct DatagramCipher {
  let key: DatagramKeys.ID
  let salt: UInt64
  private let cipher: AESGCM

  init(_ secret: SecretBytes, key: DatagramKeys.ID, sender: NodeID, salt: UInt64) {
    self.key = key
    self.salt = salt
    var info = ByteWriter(capacity: 24)
    info.put(sender)
    info.put(salt)
    cipher = AESGCM(
      key: HKDF.derive(key: secret, salt: Array("komora datagram 1".utf8), info: info.bytes, count: 32))
  }

  func seal(_ plain: RawSpan, _ head: FabricDatagram) -> [UInt8] {
    let encoded = head.encode()
    var bytes = encoded
    plain.withUnsafeBytes { bytes.append(contentsOf: $0) }
    let text = encoded.count..<bytes.count
    bytes.append(contentsOf: repeatElement(0, count: AESGCM.tagBytes))
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    let nonce = Self.nonce(head)
    cipher.sealInPlace(
      &raw, text: text, tag: text.upperBound, nonce: nonce.span.bytes, aad: encoded.span.bytes)
    return bytes
  }

  /// Nil when the seal does not fit. `datagram` is at least as long as head and tag.
  func open(_ datagram: RawSpan, _ head: FabricDatagram) -> [UInt8]? {
    var plain = [UInt8](repeating: 0, count: datagram.byteCount - FabricDatagram.overhead)
    var span = plain.mutableSpan
    var raw = span.mutableBytes
    let sealed = datagram.extracting(FabricDatagram.headBytes...)
    let aad = datagram.extracting(..<FabricDatagram.headBytes)
    guard cipher.open(sealed, nonce: Self.nonce(head), aad: aad, into: &raw) else { return nil }
    return plain
  }

  private static func nonce(_ head: FabricDatagram) -> [UInt8] {
    var nonce = [UInt8](repeating: 0, count: 12)
    for i in 0..<8 { nonce[4 + i] = UInt8(truncatingIfNeeded: head.sequence >> UInt64(8 * i)) }
    return nonce
  }
}
