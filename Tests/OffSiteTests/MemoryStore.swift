// An object store in memory with S3's rules: what a copy relies on, and the ways in which a real one fails.

import Base
import OffSite
import Threads

final class MemoryStore: ObjectStore {
  struct Upload {
    var key: String
    var parts: [Int: [UInt8]] = [:]
    var lock: ObjectLock?
  }

  struct State {
    var objects: [String: [UInt8]] = [:]
    var locks: [String: ObjectLock] = [:]
    var uploads: [String: Upload] = [:]
    var next = 0
    var operations = 0
    /// The operation with this number fails, and those behind it: the network is gone.
    var failsFrom: Int?
    /// It was done, and its answer got lost.
    var losesAnswer = false
    /// The most that was ever put at once.
    var largest = 0
    var puts: [String] = []
    var now: UnixMicroseconds = 0
    /// Called once, behind the next part that comes.
    var onPart: (@Sendable () -> Void)?
  }

  let state = Lock(State())

  var objects: [String: [UInt8]] { state.with { $0.objects } }

  private func step<T>(_ body: (inout State) throws(OffSiteError) -> T) throws(OffSiteError) -> T {
    try state.with { s throws(OffSiteError) in
      s.operations += 1
      guard let from = s.failsFrom, s.operations >= from else { return try body(&s) }
      if s.losesAnswer, s.operations == from { _ = try body(&s) }
      throw OffSiteError(.unavailable, "the network is gone")
    }
  }

  func list(prefix: String) async throws(OffSiteError) -> [StoredObject] {
    try step { s throws(OffSiteError) in
      s.objects.filter { $0.key.hasPrefix(prefix) }.map { StoredObject(key: $0.key, bytes: UInt64($0.value.count)) }
        .sorted { $0.key < $1.key }
    }
  }

  func read(_ key: String, from offset: UInt64, count: Int) async throws(OffSiteError) -> [UInt8] {
    try step { s throws(OffSiteError) in
      guard let bytes = s.objects[key] else { throw OffSiteError(.notFound, "no such object") }
      return Array(bytes.dropFirst(Int(offset)).prefix(count))
    }
  }

  func put(_ key: String, _ bytes: [UInt8], lock: ObjectLock?) async throws(OffSiteError) {
    try step { s throws(OffSiteError) in
      s.largest = max(s.largest, bytes.count)
      s.puts.append(key)
      s.objects[key] = bytes
      s.locks[key] = lock
    }
  }

  func remove(_ key: String) async throws(OffSiteError) {
    try step { s throws(OffSiteError) in
      if let lock = s.locks[key], lock.until > s.now { throw OffSiteError(.denied, "the object is locked") }
      s.objects[key] = nil
    }
  }

  func uploads(prefix: String) async throws(OffSiteError) -> [StoredUpload] {
    try step { s throws(OffSiteError) in
      s.uploads.filter { $0.value.key.hasPrefix(prefix) }.map { StoredUpload(key: $0.value.key, id: $0.key) }
        .sorted { $0.id < $1.id }
    }
  }

  func beginUpload(_ key: String, lock: ObjectLock?) async throws(OffSiteError) -> StoredUpload {
    try step { s throws(OffSiteError) in
      s.next += 1
      s.uploads["u\(s.next)"] = Upload(key: key, lock: lock)
      return StoredUpload(key: key, id: "u\(s.next)")
    }
  }

  func parts(of upload: StoredUpload) async throws(OffSiteError) -> [StoredPart] {
    try step { s throws(OffSiteError) in
      guard let open = s.uploads[upload.id] else { throw OffSiteError(.notFound, "no such upload") }
      return open.parts.map { StoredPart(number: $0.key, bytes: UInt64($0.value.count), etag: "e\($0.key)") }
    }
  }

  func put(part number: Int, of upload: StoredUpload, _ bytes: [UInt8]) async throws(OffSiteError) -> StoredPart {
    defer { state.with { $0.onPart.take() }?() }
    return try step { s throws(OffSiteError) in
      guard s.uploads[upload.id] != nil else { throw OffSiteError(.notFound, "no such upload") }
      s.largest = max(s.largest, bytes.count)
      s.puts.append("\(upload.key)#\(number)")
      s.uploads[upload.id]!.parts[number] = bytes
      return StoredPart(number: number, bytes: UInt64(bytes.count), etag: "e\(number)")
    }
  }

  func finish(_ upload: StoredUpload, _ parts: [StoredPart]) async throws(OffSiteError) {
    try step { s throws(OffSiteError) in
      guard let open = s.uploads.removeValue(forKey: upload.id) else {
        throw OffSiteError(.notFound, "no such upload")
      }
      guard parts.count == open.parts.count else { throw OffSiteError(.invalid, "parts are missing") }
      s.objects[upload.key] = open.parts.sorted { $0.key < $1.key }.flatMap(\.value)
      s.locks[upload.key] = open.lock
    }
  }

  func abort(_ upload: StoredUpload) async throws(OffSiteError) {
    try step { s throws(OffSiteError) in s.uploads[upload.id] = nil }
  }
}
