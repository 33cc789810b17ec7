// Copying an object inside its bucket: its bytes go through the engine into a recording of their own, so that nothing is
// shared and each can be deleted alone.

import Base
import HTTPTypes
import Hummingbird
import Node
import ShardStore
import SigV4

extension S3Service {
  static let sourceFields: Set<String> = [
    "x-amz-copy-source", "x-amz-copy-source-if-match", "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-modified-since", "x-amz-copy-source-if-unmodified-since",
  ]

  func copy(_ request: S3Request) async throws -> Response {
    try request.allowOnly([])
    try request.refuseUnknownWishes(
      besides: Self.sourceFields.union(["x-amz-metadata-directive", "x-amz-tagging-directive"]))
    try Self.refuseReadOnly(request.key)
    let source = try await source(request)
    let replacesMetadata = try Self.directive(request, "x-amz-metadata-directive")
    let replacesTags = try Self.directive(request, "x-amz-tagging-directive")
    let given = try ObjectMetadata(request.signed)
    let old = ObjectMetadata(json: source.metadata)
    var metadata = replacesMetadata ? given : old
    metadata.tags = replacesTags ? given.tags : old.tags
    metadata.checksum = old.checksum.flatMap { $0.scope == .fullObject ? $0 : nil }
    let algorithm = try Self.checksumAlgorithm(request)
    let type = replacesMetadata ? try Self.contentType(request) : source.contentType
    let conditions = ObjectConditions(request.request.headers)
    if source.key.utf8.elementsEqual(request.key.utf8) {
      guard replacesMetadata || replacesTags else {
        throw S3Error(
          .badRequest, "InvalidRequest", "A copy of an object to itself must change its metadata or its tags.")
      }
      guard algorithm == nil || algorithm == old.checksum?.algorithm else {
        throw S3Error.notImplemented("A checksum of another algorithm for a copy of an object to itself")
      }
      (metadata.etag, metadata.parts, metadata.checksum) = (old.etag, old.parts, old.checksum)
      return try await describe(request, source, conditions, type: type, metadata)
    }
    (metadata.etag, metadata.parts) = (nil, [])
    let described = metadata
    try await checkNow(conditions, request)
    return try await patiently(request) { [self] in
      let whole = ByteRange(start: 0, end: source.bytes)
      var kept = described
      var checksum = algorithm.map { PayloadChecksum($0) }
      let stored = try await assemble([(source.id, whole)], of: request.account.id) { checksum?.update($0.span.bytes) }
      if let checksum { kept.checksum = ObjectChecksum(checksum.algorithm, checksum.finish()) }
      guard stored.md5 == source.md5 else {
        throw S3Error(.internalServerError, "InternalError", "The source's bytes are not those that were stored.")
      }
      let position = try await commit(stored, request, conditions, type: type, metadata: kept.json)
      let document = Self.copied("CopyObjectResult", etag: stored.md5.hex, at: clock.unixMicroseconds(), kept.checksum)
      return (document, [.komoraPosition: "\(position)"])
    }
  }

  /// A copy of an object to itself: the bytes stay where they are.
  private func describe(
    _ request: S3Request, _ source: RecordingRow, _ conditions: ObjectConditions, type: String,
    _ metadata: ObjectMetadata
  ) async throws -> Response {
    let now = clock.unixMicroseconds()
    let answer = try await write(request) { connection in
      let row = try RecordingCatalog.get(connection, key: source.key)
      try conditions.checkWrite(etag: row?.etag)
      // Another object may have taken its place since it was looked at.
      guard row?.id == source.id else { throw S3Error.preconditionFailed }
      _ = try RecordingCatalog.describe(
        connection, key: source.key, contentType: type, metadata: metadata.json, at: now)
    }
    let etag = metadata.etag ?? source.md5.hex
    var response = xml(Self.copied("CopyObjectResult", etag: etag, at: now, metadata.checksum))
    response.headers[.komoraPosition] = "\(answer.position)"
    return response
  }

  static func copied(
    _ name: StaticString, etag: String, at time: UnixMicroseconds, _ checksum: ObjectChecksum? = nil
  ) -> XMLText {
    var document = XMLText()
    document.element(name, namespace: XMLText.s3Namespace) { xml in
      xml.element("LastModified", time.rfc3339)
      xml.element("ETag", "\"\(etag)\"")
      checksum?.write(to: &xml)
    }
    return document
  }

  /// The object that `x-amz-copy-source` names, if its conditions hold: authorised like a get, so of this bucket only.
  func source(_ request: S3Request) async throws -> RecordingRow {
    let source = try CopySource(request.signed["x-amz-copy-source"] ?? "")
    guard source.bucket == request.bucket else { throw S3Error.accessDenied }
    let (account, key) = (request.account.id, source.key)
    let answer = try await node.engine.read(account, from: request.serving.source, confirm: request.serving.confirm) {
      try RecordingCatalog.get($0, key: key)
    }
    guard let row = answer.value else { throw S3Error.noSuchKey }
    do {
      try ObjectConditions(copySource: { request.signed[$0] })
        .checkRead(etag: row.etag, modified: row.createdAt / 1_000_000)
    } catch { throw S3Error.preconditionFailed }
    return row
  }

  private static func directive(_ request: S3Request, _ name: String) throws(S3Error) -> Bool {
    switch request.signed[name] {
    case nil, "COPY": false
    case "REPLACE": true
    default: throw S3Error.invalidArgument("\(name) must be COPY or REPLACE.")
    }
  }

  /// Parts of recordings, one behind the other, as a new recording; durable when it returns. `passed` sees the bytes.
  func assemble(
    _ pieces: [(id: RecordingID, range: ByteRange)], of account: AccountID,
    passed: (ArraySlice<UInt8>) -> Void = { _ in }
  ) async throws -> StoredRecording {
    let upload = try await node.engine.upload(account)
    do {
      for (id, range) in pieces {
        let reader = try await node.engine.recording(account, id)
        var offset = range.start
        while offset < range.end {
          let bytes = try await reader.read(offset: offset, count: range.end - offset)
          guard !bytes.isEmpty else {
            throw S3Error(.internalServerError, "InternalError", "A recording ends before its length.")
          }
          passed(bytes[...])
          try await upload.append(bytes)
          offset += bytes.count
        }
      }
      return try await upload.finish()
    } catch {
      upload.cancel()
      throw error
    }
  }
}
