// Storing an object. Its bytes stream into the engine while they arrive; the row that makes it exist commits only after
// signature, length and every checksum were verified and the bytes are durable.

import Base
import HTTPTypes
import Hummingbird
import NIOCore
import Node
import ShardStore
import SigV4

extension S3Service {
  /// Bytes that are gathered before they go to the engine: one chunk of a recording.
  private static let pieceBytes = Limits.recordingChunkBytes

  func put(_ request: S3Request) async throws -> Response {
    try request.allowOnly([])
    try request.refuseUnknownWishes()
    try Self.refuseReadOnly(request.key)
    var metadata = try ObjectMetadata(request.signed)
    let type = try Self.contentType(request)
    let conditions = ObjectConditions(request.request.headers)
    return try await receive(request, before: { try await checkNow(conditions, request) }) { stored, checksum in
      metadata.checksum = checksum
      let position = try await commit(stored, request, conditions, type: type, metadata: metadata.json)
      return [.eTag: "\"\(stored.md5.hex)\"", .komoraPosition: "\(position)"]
    }
  }

  /// Takes a body into a recording of its own, verified and durable, and has it committed. What is not committed is
  /// collected later. The reply tells the checksum that was verified.
  func receive(
    _ request: S3Request, before: () async throws -> Void,
    commit: (StoredRecording, ObjectChecksum?) async throws -> HTTPFields
  ) async throws -> Response {
    let expectedMD5 = try Self.contentMD5(request)
    var verifier = try PayloadVerifier(request.verified, request.signed)
    try checkLength(verifier.remaining)
    try await before()
    let (stored, checksum) = try await receive(request, &verifier)
    guard expectedMD5 == nil || expectedMD5 == stored.md5 else {
      throw S3Error(.badRequest, "BadDigest", "The Content-MD5 is not that of the body.")
    }
    var fields = try await commit(stored, checksum)
    fields.append(contentsOf: Self.checksumFields(checksum))
    return Response(status: .ok, headers: fields)
  }

  static func contentType(_ request: S3Request) throws(S3Error) -> String {
    let type = request.signed["content-type"] ?? "binary/octet-stream"
    guard type.utf8.count <= 256 else { throw S3Error.invalidArgument("The content type is too long.") }
    return type
  }

  /// The body, verified and durable. What fits one piece goes to the engine as a whole, the rest while it comes.
  private func receive(
    _ request: S3Request, _ verifier: inout PayloadVerifier
  ) async throws -> (StoredRecording, ObjectChecksum?) {
    let account = request.account.id
    var upload: Upload?
    do {
      try await request.context.askForBody()
      var piece = [UInt8]()
      piece.reserveCapacity(min(verifier.remaining ?? Self.pieceBytes, Self.pieceBytes))
      for try await buffer in request.request.body {
        var rest = try payload(of: buffer, &verifier)
        guard verifier.count <= node.configuration.limits.recordingBytes else { throw Self.tooLarge }
        // Pieces end where chunks do: then the engine takes them as they are.
        while !rest.isEmpty {
          let taken = rest.prefix(Self.pieceBytes - piece.count)
          piece.append(contentsOf: taken)
          rest = rest.dropFirst(taken.count)
          let isMore = upload != nil || !rest.isEmpty || verifier.remaining != 0
          guard piece.count == Self.pieceBytes, isMore else { continue }
          if upload == nil { upload = try await node.engine.upload(account) }
          try await upload?.append(piece)
          piece = []
          piece.reserveCapacity(Self.pieceBytes)
        }
      }
      let checksum = try verifier.finish().map { ObjectChecksum($0.algorithm, $0.value) }
      guard let upload else { return (try await node.engine.store(account, piece), checksum) }
      if !piece.isEmpty { try await upload.append(piece) }
      return (try await upload.finish(), checksum)
    } catch {
      upload?.cancel()
      throw error
    }
  }

  private func payload(of buffer: ByteBuffer, _ verifier: inout PayloadVerifier) throws -> ArraySlice<UInt8> {
    var payload: ArraySlice<UInt8> = []
    try verifier.push(Array(buffer.readableBytesView)[...]) { part in
      if payload.isEmpty { payload = part } else { payload.append(contentsOf: part) }
    }
    return payload
  }

  /// The row, if the conditions still hold.
  func commit(
    _ stored: StoredRecording, _ request: S3Request, _ conditions: ObjectConditions, type: String, metadata: String
  ) async throws -> Position {
    let key = request.key
    let now = clock.unixMicroseconds()
    let answer = try await write(request) { connection in
      try conditions.checkWrite(etag: RecordingCatalog.get(connection, key: key)?.etag)
      try RecordingCatalog.put(connection, key: key, stored, contentType: type, metadata: metadata, at: now)
    }
    return answer.position
  }

  /// Before the body is sent, so that a put that cannot succeed costs nothing. The commit looks again.
  func checkNow(_ conditions: ObjectConditions, _ request: S3Request) async throws {
    guard request.signed["if-match"] != nil || request.signed["if-none-match"] != nil else { return }
    let key = request.key
    let answer = try await node.engine.read(
      request.account.id, from: request.serving.source, confirm: request.serving.confirm
    ) {
      try RecordingCatalog.get($0, key: key)?.etag
    }
    try conditions.checkWrite(etag: answer.value)
  }

  private func checkLength(_ length: Int?) throws(S3Error) {
    guard let length else {
      throw S3Error(.lengthRequired, "MissingContentLength", "The Content-Length header is missing.")
    }
    guard length <= node.configuration.limits.recordingBytes else { throw Self.tooLarge }
  }

  static let tooLarge = S3Error(
    .badRequest, "EntityTooLarge", "The object is larger than the node accepts.")

  /// Exports appear here and are made by the service.
  static func isReadOnly(_ key: String) -> Bool { key.utf8.starts(with: "exports/".utf8) }

  static func refuseReadOnly(_ key: String) throws(S3Error) {
    guard !isReadOnly(key) else { throw .accessDenied }
  }

  static func contentMD5(_ request: S3Request) throws(S3Error) -> [UInt8]? {
    guard let text = request.signed["content-md5"] else { return nil }
    guard let bytes = Base64.decode(text), bytes.count == 16 else {
      throw S3Error(.badRequest, "InvalidDigest", "The Content-MD5 is not a valid one.")
    }
    return bytes
  }
}
