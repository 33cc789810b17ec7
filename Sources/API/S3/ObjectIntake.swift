// The bytes of an object on their way into the engine, in pieces that end where its chunks do: those it takes as they are.
//
// What fits one piece goes there as a whole, in one turn, the rest while it comes.

import Base
import Node
import ShardStore

struct ObjectIntake {
  private static let pieceBytes = Limits.recordingChunkBytes

  private let engine: Engine
  private let account: AccountID
  private var piece: [UInt8] = []
  private var upload: Upload?
  private let saidMD5: [UInt8]?

  /// `expected`: bytes that will come, where that is known; `saidMD5`: their MD5, where the client answers for it.
  init(_ engine: Engine, _ account: AccountID, expected: Int?, saidMD5: [UInt8]?) {
    self.saidMD5 = saidMD5
    self.engine = engine
    self.account = account
    piece.reserveCapacity(min(expected ?? Self.pieceBytes, Self.pieceBytes))
  }

  /// `isLast` when nothing comes behind `bytes`.
  mutating func take(_ bytes: some RandomAccessCollection<UInt8>, isLast: Bool) async throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let taken = rest.prefix(Self.pieceBytes - piece.count)
      piece.append(contentsOf: taken)
      rest = rest.dropFirst(taken.count)
      let isMore = upload != nil || !rest.isEmpty || !isLast
      guard piece.count == Self.pieceBytes, isMore else { continue }
      let open = if let upload { upload } else { try await engine.upload(account, saidMD5: saidMD5) }
      upload = open
      try await open.append(piece)
      piece = []
      piece.reserveCapacity(Self.pieceBytes)
    }
  }

  /// Durable when it returns.
  mutating func finish() async throws -> StoredRecording {
    guard let upload else { return try await engine.store(account, piece, saidMD5: saidMD5) }
    if !piece.isEmpty { try await upload.append(piece) }
    return try await upload.finish()
  }

  func cancel() { upload?.cancel() }
}
