// Seals what this node sends.
//
// The sequence is the clock in microseconds, made strictly rising, so that it says the datagram's age as well. A clock
// that was set back by more than a moment would leave it in a future that receivers refuse: then a fresh salt, hence a
// fresh key, starts it again from the clock without ever using a nonce twice.

package import Base
import Formats
import OpenSSL

package struct DatagramSealer: Sendable {
  /// How far the sequence may run ahead of the clock, in microseconds.
  static let aheadMax: UInt64 = 5_000_000

  package let sender: NodeID
  private var keys: DatagramKeys
  private var last: UInt64
  private var cipher: DatagramCipher

  /// `notBefore`: an earlier run of this node may have sent up to there (its clock when it was last heard of, plus a
  /// second). `salt` is drawn anew at every start, cryptographically; later ones count on from it.
  package init(
    sender: NodeID, keys: DatagramKeys, notBefore: UnixMicroseconds = 0,
    salt: UInt64? = nil
  ) {
    var random = SystemRandom()
    self.sender = sender
    self.keys = keys
    last = UInt64(max(notBefore, 0))
    cipher = Self.cipher(keys, sender, salt ?? random.next())
  }

  /// See `init`.
  package mutating func begin(after instant: UnixMicroseconds) { last = max(last, UInt64(max(instant, 0))) }

  /// A change of the ring: the next datagram is sealed by its primary.
  package mutating func use(_ keys: DatagramKeys) {
    self.keys = keys
    cipher = Self.cipher(keys, sender, cipher.salt &+ 1)
  }

  /// Nil when `plain` is longer than a datagram carries.
  package mutating func seal(_ plain: RawSpan, at clock: UnixMicroseconds) -> [UInt8]? {
    guard plain.byteCount <= FabricDatagram.plainBytesMax else { return nil }
    let now = UInt64(max(clock, 0))
    if last > now + Self.aheadMax {
      cipher = Self.cipher(keys, sender, cipher.salt &+ 1)
      last = now
    }
    last = max(last + 1, now)
    return cipher.seal(
      plain, FabricDatagram(key: cipher.key, sender: sender, salt: cipher.salt, sequence: last))
  }

  package mutating func seal(_ plain: [UInt8], at clock: UnixMicroseconds) -> [UInt8]? {
    seal(plain.span.bytes, at: clock)
  }

  private static func cipher(_ keys: DatagramKeys, _ sender: NodeID, _ salt: UInt64) -> DatagramCipher {
    guard let key = keys[keys.primary] else { preconditionFailure("the primary is always in the ring") }
    return DatagramCipher(key, key: keys.primary, sender: sender, salt: salt)
  }
}
