// What a copy elsewhere needs of its storage, and no more: S3's objects, whole or in parts.

package import Base

/// One object, as a listing gives it.
package struct StoredObject: Sendable, Equatable {
  package var key: String
  package var bytes: UInt64

  package init(key: String, bytes: UInt64) {
    self.key = key
    self.bytes = bytes
  }
}

/// An upload in parts that was begun and not ended.
package struct StoredUpload: Sendable, Equatable {
  package var key: String
  package var id: String

  package init(key: String, id: String) {
    self.key = key
    self.id = id
  }
}

package struct StoredPart: Sendable, Equatable {
  /// From 1.
  package var number: Int
  package var bytes: UInt64
  package var etag: String

  package init(number: Int, bytes: UInt64, etag: String) {
    self.number = number
    self.bytes = bytes
    self.etag = etag
  }
}

/// How long the storage itself keeps an object from being removed or replaced.
package struct ObjectLock: Sendable, Equatable {
  package enum Mode: String, Sendable, CaseIterable {
    /// Whoever has a special right may still remove it.
    case governance = "GOVERNANCE"
    /// Nobody may.
    case compliance = "COMPLIANCE"
  }
  package var mode: Mode
  package var until: UnixMicroseconds

  package init(mode: Mode, until: UnixMicroseconds) {
    self.mode = mode
    self.until = until
  }
}

/// Keys are whole keys. Every method may be tried again after `.unavailable`: what it did once more is the same.
package protocol ObjectStore: Sendable {
  /// Everything whose key begins with `prefix`, in the order of keys.
  func list(prefix: String) async throws(OffSiteError) -> [StoredObject]
  /// Up to `count` bytes from `offset`; `.notFound` when there is no such object.
  func read(_ key: String, from offset: UInt64, count: Int) async throws(OffSiteError) -> [UInt8]
  /// The storage has compared the bytes with their hash when this returns.
  func put(_ key: String, _ bytes: [UInt8], lock: ObjectLock?) async throws(OffSiteError)
  /// `.denied` for one that is locked; nothing happens for one that is not there.
  func remove(_ key: String) async throws(OffSiteError)

  func uploads(prefix: String) async throws(OffSiteError) -> [StoredUpload]
  func beginUpload(_ key: String, lock: ObjectLock?) async throws(OffSiteError) -> StoredUpload
  func parts(of upload: StoredUpload) async throws(OffSiteError) -> [StoredPart]
  func put(part number: Int, of upload: StoredUpload, _ bytes: [UInt8]) async throws(OffSiteError) -> StoredPart
  func finish(_ upload: StoredUpload, _ parts: [StoredPart]) async throws(OffSiteError)
  func abort(_ upload: StoredUpload) async throws(OffSiteError)
}
