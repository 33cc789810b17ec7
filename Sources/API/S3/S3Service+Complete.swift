// The end of an upload in parts: what was listed is checked against what is there, copied into one recording, and takes
// the key in one commit, with which the upload ends.

import Base
import HTTPTypes
import Hummingbird
import Logging
import Node
import OpenSSL
import ShardStore
import SigV4

extension S3Service {
  /// 10,000 parts with their ETags and checksums.
  private static let completeBytesMax = 4 << 20

  func completeUpload(_ request: S3Request) async throws -> Response {
    try request.allowOnly(["uploadId"])
    try request.refuseUnknownWishes(besides: ["x-amz-mp-object-size"])
    try Self.refuseReadOnly(request.key)
    let id = try UploadID(request.target)
    let listed = try CompleteDocument(
      xml: try await body(request, max: Self.completeBytesMax, checksumIsOfBody: false))
    let conditions = ObjectConditions(request.request.headers)
    let (upload, there) = try await parts(request, id)
    if let etag = upload.etag { return xml(completed(request, etag: etag, nil)) }
    let parts = try Self.match(listed, there)
    let bytes = parts.reduce(0) { $0 + $1.bytes }
    guard bytes <= node.configuration.limits.recordingBytes else { throw Self.tooLarge }
    if let said = request.signed["x-amz-mp-object-size"], said != String(bytes) {
      throw S3Error(.badRequest, "InvalidRequest", "The parts have \(bytes) bytes, not \(said).")
    }
    try await checkNow(conditions, request)
    return try await patiently(request) { [self] in
      try await finish(request, id, upload, parts, conditions)
    }
  }

  /// The upload, completed or open, and all its parts.
  private func parts(_ request: S3Request, _ id: UploadID) async throws -> (MultipartUpload, [UploadedPart]) {
    let key = request.key
    return try await node.engine.read(
      request.account.id, from: request.serving.source, confirm: request.serving.confirm
    ) { connection in
      guard let upload = try MultipartCatalog.upload(connection, id.bytes), upload.key.utf8.elementsEqual(key.utf8)
      else { throw S3Error.noSuchUpload }
      return (
        upload, try MultipartCatalog.parts(connection, of: id.bytes, limit: MultipartLimits.partNumberMax)
      )
    }.value
  }

  /// The parts that the client lists; each must be there with the ETag and the checksum that it says.
  private static func match(_ listed: CompleteDocument, _ there: [UploadedPart]) throws(S3Error) -> [UploadedPart] {
    let invalid = S3Error(
      .badRequest, "InvalidPart", "A listed part is not there, or is another one than its ETag or checksum says.")
    let byNumber = Dictionary(uniqueKeysWithValues: there.map { ($0.number, $0) })
    var parts: [UploadedPart] = []
    for wanted in listed.parts {
      guard let part = byNumber[wanted.number], wanted.etag.isEmpty || wanted.etag == part.md5.hex else {
        throw invalid
      }
      if let said = wanted.checksum, let known = ObjectChecksum(text: part.checksum) {
        guard known.algorithm != said.algorithm || known.value == said.value else { throw invalid }
      }
      parts.append(part)
    }
    guard parts.dropLast().allSatisfy({ $0.bytes >= MultipartLimits.partBytesMin }) else {
      throw S3Error(
        .badRequest, "EntityTooSmall", "Every part but the last must have \(MultipartLimits.partBytesMin) bytes.")
    }
    return parts
  }

  private func finish(
    _ request: S3Request, _ id: UploadID, _ upload: MultipartUpload, _ parts: [UploadedPart],
    _ conditions: ObjectConditions
  ) async throws -> (XMLText, HTTPFields) {
    try await checkWhole(parts, request)
    var metadata = ObjectMetadata(json: upload.metadata)
    let algorithm = metadata.fields.removeValue(forKey: "checksum-algorithm").flatMap {
      PayloadChecksum.Algorithm(rawValue: $0)
    }
    let scope = metadata.fields.removeValue(forKey: "checksum-type").flatMap { ObjectChecksum.Scope(rawValue: $0) }
    var whole = scope == .fullObject ? algorithm.map { PayloadChecksum($0) } : nil
    let stored = try await assemble(
      parts.map { ($0.id, ByteRange(start: 0, end: $0.bytes)) }, of: request.account.id
    ) { whole?.update($0.span.bytes) }
    if let whole {
      metadata.checksum = ObjectChecksum(whole.algorithm, whole.finish())
    } else if let algorithm {
      metadata.checksum = Self.composite(algorithm, parts)
    }
    try Self.check(request, metadata.checksum)
    metadata.etag = Self.etag(parts)
    metadata.parts = parts.map(\.bytes)
    let (kept, key, now) = (metadata, request.key, clock.unixMicroseconds())
    let answer = try await write(request) { connection in
      _ = try Self.openUpload(connection, id, key: key)
      try conditions.checkWrite(etag: RecordingCatalog.get(connection, key: key)?.etag)
      try RecordingCatalog.put(
        connection, key: key, stored, contentType: upload.contentType, metadata: kept.json, at: now)
      try MultipartCatalog.end(connection, id.bytes, etag: kept.etag)
    }
    let document = completed(request, etag: kept.etag ?? "", kept.checksum)
    return (document, [.komoraPosition: "\(answer.position)"])
  }

  /// Parts are in no backup: an account that was restored has their rows, and not their bytes.
  private func checkWhole(_ parts: [UploadedPart], _ request: S3Request) async throws {
    for part in parts {
      do {
        _ = try await node.engine.recording(request.account.id, part.id)
      } catch let error as StoreError where error.code == .damaged {
        request.context.logger.error("a part is lost", metadata: ["part": "\(part.number)", "error": "\(error)"])
        throw S3Error(
          .badRequest, "InvalidPart", "Part \(part.number) is not there any more: upload it again.")
      }
    }
  }

  /// Of the parts' checksums; nil when a part has none of the upload's algorithm.
  private static func composite(
    _ algorithm: PayloadChecksum.Algorithm, _ parts: [UploadedPart]
  ) -> ObjectChecksum? {
    let values = parts.compactMap { part -> [UInt8]? in
      guard let known = ObjectChecksum(text: part.checksum), known.algorithm == algorithm else { return nil }
      return Base64.decode(known.value)
    }
    return values.count == parts.count ? ObjectChecksum(composite: algorithm, of: values) : nil
  }

  /// A checksum of the whole object that came with the request must be the one that its bytes have.
  private static func check(_ request: S3Request, _ checksum: ObjectChecksum?) throws(S3Error) {
    for algorithm in PayloadChecksum.Algorithm.allCases {
      guard let said = request.signed[algorithm.field] else { continue }
      guard checksum?.algorithm == algorithm, checksum?.value == said else {
        throw S3Error(.badRequest, "BadDigest", "The object does not have the checksum that came with the request.")
      }
    }
  }

  /// As S3 has it: the MD5 of the parts' MD5s, and their number.
  private static func etag(_ parts: [UploadedPart]) -> String {
    let hasher = Hasher(.md5)
    for part in parts { hasher.update(part.md5) }
    return "\(hasher.finish().hex)-\(parts.count)"
  }

  private func completed(_ request: S3Request, etag: String, _ checksum: ObjectChecksum?) -> XMLText {
    var document = XMLText()
    document.element("CompleteMultipartUploadResult", namespace: XMLText.s3Namespace) { xml in
      xml.element("Location", "https://\(request.signed["host"] ?? "")\(request.target.rawPath)")
      xml.element("Bucket", request.bucket)
      xml.element("Key", request.key)
      xml.element("ETag", "\"\(etag)\"")
      if let checksum {
        checksum.write(to: &xml)
        xml.element("ChecksumType", checksum.scope.rawValue)
      }
    }
    return document
  }
}
