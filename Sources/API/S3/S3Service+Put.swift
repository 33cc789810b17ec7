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
    let saidMD5 = try Self.saidMD5(request, verifier)
    try checkLength(verifier.remaining)
    try await before()
    let (stored, checksum) = try await receive(request, &verifier, saidMD5: saidMD5)
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

  private func receive(
    _ request: S3Request, _ verifier: inout PayloadVerifier, saidMD5: [UInt8]?
  ) async throws -> (StoredRecording, ObjectChecksum?) {
    var intake = ObjectIntake(node.engine, request.account.id, expected: verifier.remaining, saidMD5: saidMD5)
    do {
      try await request.context.askForBody()
      for try await buffer in request.request.body {
        if verifier.isChunked {
          let payload = try Self.payload(of: buffer, &verifier)
          try await intake.take(payload, isLast: verifier.remaining == 0)
        } else {
          try verifier.pass(buffer.readableBytesSpan)
          try await intake.take(buffer.readableBytesView, isLast: verifier.remaining == 0)
        }
        guard verifier.count <= node.configuration.limits.recordingBytes else { throw Self.tooLarge }
      }
      let checksum = try verifier.finish().map { ObjectChecksum($0.algorithm, $0.value) }
      return (try await intake.finish(), checksum)
    } catch {
      intake.cancel()
      throw error
    }
  }

  private static func payload(
    of buffer: ByteBuffer, _ verifier: inout PayloadVerifier
  ) throws(SigV4Error) -> ArraySlice<UInt8> {
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

  /// `Komora-Content-MD5`, base64: the MD5 of the body, taken on the client's word, so that it is computed once and not at
  /// both ends. That the body arrived as it was sent is shown by the checksum that must come with it.
  static func saidMD5(_ request: S3Request, _ verifier: PayloadVerifier) throws(S3Error) -> [UInt8]? {
    // Who sends Content-MD5 as well wants it compared.
    guard let text = request.signed["komora-content-md5"], request.signed["content-md5"] == nil else { return nil }
    guard let bytes = Base64.decode(text), bytes.count == 16 else {
      throw S3Error(.badRequest, "InvalidDigest", "The Komora-Content-MD5 is not a valid one.")
    }
    guard verifier.hasChecksum else {
      throw S3Error(
        .badRequest, "InvalidRequest", "A body with Komora-Content-MD5 needs an x-amz-checksum that can be compared.")
    }
    return bytes
  }

  static func contentMD5(_ request: S3Request) throws(S3Error) -> [UInt8]? {
    guard let text = request.signed["content-md5"] else { return nil }
    guard let bytes = Base64.decode(text), bytes.count == 16 else {
      throw S3Error(.badRequest, "InvalidDigest", "The Content-MD5 is not a valid one.")
    }
    return bytes
  }
}
