// Recordings between replicas: key and sealed chunks of one, fetched by a node whose log is to name it.
//
// Only a node that the control store's record names is given one. What is here already is not fetched again.

import AtRest
import Base
import Fabric
import Formats
import OpenSSL
import ShardStore
import UVLoop

final class RecordingExchange: Sendable {
  private let engine: Engine
  private let endpoint: FabricEndpoint
  private let addressOf: @Sendable (NodeID) -> SocketAddress?
  private let recordOf: @Sendable (AccountID) -> OwnershipRecord?

  init(
    _ engine: Engine, _ endpoint: FabricEndpoint, addressOf: @escaping @Sendable (NodeID) -> SocketAddress?,
    recordOf: @escaping @Sendable (AccountID) -> OwnershipRecord?
  ) {
    (self.engine, self.endpoint, self.addressOf, self.recordOf) = (engine, endpoint, addressOf, recordOf)
  }

  // MARK: giving

  /// What `name`, 16 bytes of the account and 16 of the recording, means to `peer`; nil when it is not to have it.
  func source(_ name: [UInt8], for peer: NodeID) async -> (any FabricSource)? {
    guard name.count == 32 else { return nil }
    let account = AccountID(bytes: name[..<16])
    guard recordOf(account)?.names(peer) == true,
      let recording = try? await engine.sealedRecording(account, RecordingID(bytes: name[16...]))
    else { return nil }
    return Source(recording)
  }

  private struct Source: FabricSource {
    let recording: SealedRecording
    let front: [UInt8]
    /// Where each frame begins, from the first on, and where the last ends.
    let starts: [UInt64]
    let validator: [UInt8]

    init(_ recording: SealedRecording) {
      self.recording = recording
      front = RecordingFront(key: recording.key.copy, frameBytes: recording.frameBytes.map { UInt32($0) }).encode()
      var starts = [UInt64(front.count)]
      for bytes in recording.frameBytes { starts.append(starts.last! + UInt64(bytes)) }
      self.starts = starts
      // A key is drawn once for each recording, whose chunks never change.
      validator = SHA256.hash(front)
    }

    var size: UInt64 { starts.last! }

    func read(at offset: UInt64, count: Int) async throws -> [UInt8] {
      if offset < starts[0] { return Array(front[Int(offset)..<min(front.count, Int(offset) + count)]) }
      var (low, high) = (0, starts.count - 1)
      while high - low > 1 {
        let middle = (low + high) / 2
        if starts[middle] <= offset { low = middle } else { high = middle }
      }
      let frame = try await recording.frame(low)
      let within = Int(offset - starts[low])
      return Array(frame[within..<min(frame.count, within + count)])
    }
  }

  // MARK: taking

  /// All of them are here, bytes and keys durable, when it returns.
  func fetch(_ account: AccountID, _ ids: [RecordingID], from node: NodeID) async throws {
    for id in try await engine.missing(account, ids) { try await fetch(account, id, from: node) }
  }

  private func fetch(_ account: AccountID, _ id: RecordingID, from node: NodeID) async throws {
    guard let address = addressOf(node) else {
      throw NodeError(.unavailable, "the node that has recording \(id) is not known")
    }
    var frames = Frames(
      endpoint.download(
        node, at: address, method: FabricMethod.shardRecording.rawValue, name: account.bytes + id.bytes))
    let key = SecretBytes(try await frames.begin())
    try await engine.install(account, id, key: key) { try await frames.next() }
  }

  /// A transfer, cut into frames again.
  private struct Frames {
    private var download: FabricDownload
    private var buffer: [UInt8] = []
    private var lengths: [UInt32] = []
    private var place = 0

    init(_ download: FabricDownload) { self.download = download }

    /// The recording's key.
    mutating func begin() async throws -> [UInt8] {
      while let bytes = try await download.next() {
        buffer += bytes
        guard let (front, length) = try RecordingFront.take(buffer[...]) else { continue }
        buffer.removeFirst(length)
        lengths = front.frameBytes
        return front.key
      }
      throw NodeError(.unavailable, "the recording ended early")
    }

    mutating func next() async throws -> [UInt8]? {
      guard place < lengths.count else { return nil }
      let count = Int(lengths[place])
      while buffer.count < count {
        guard let bytes = try await download.next() else {
          throw NodeError(.unavailable, "the recording ended early")
        }
        buffer += bytes
      }
      place += 1
      defer { buffer.removeFirst(count) }
      return Array(buffer[..<count])
    }
  }
}
