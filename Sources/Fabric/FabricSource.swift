// What a bulk transfer is read from, on the serving side: bytes that do not change under their validator.

package protocol FabricSource: Sendable {
  var size: UInt64 { get }
  /// 1 to 64 bytes that differ whenever the bytes differ: a checksum, or an id with a version.
  var validator: [UInt8] { get }
  /// Up to `count` bytes from `offset` on, at least one. Never on the loop's time: it may wait for a disk elsewhere.
  func read(at offset: UInt64, count: Int) async throws -> [UInt8]
}
