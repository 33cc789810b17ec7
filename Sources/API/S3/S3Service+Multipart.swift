// Uploads in parts: begun, filled in any order and from many connections, given up, completed.
//
// A part is durable on a write set when it is acknowledged, so an upload goes on after a failover. The last step copies
// the parts into one recording: whatever reads, backs up or restores objects knows one form only.

import Base
import HTTPTypes
import Hummingbird
import Node
import SQLite
import ShardStore
import SigV4

extension S3Service {
  func beginUpload(_ request: S3Request) async throws -> Response {
    try request.allowOnly(["uploads"])
    try request.refuseUnknownWishes()
    try Self.refuseReadOnly(request.key)
    var metadata = try ObjectMetadata(request.signed)
    // What the parts will be checked with, and how the object's own checksum is made of theirs.
    if let algorithm = try Self.checksumAlgorithm(request) {
      metadata.fields["checksum-algorithm"] = algorithm.rawValue
      metadata.fields["checksum-type"] = try Self.scope(request, algorithm).rawValue
    }
    let id = UploadID()
    let upload = MultipartUpload(
      id: id.bytes, key: request.key, contentType: try Self.contentType(request), metadata: metadata.json,
      createdAt: clock.unixMicroseconds())
    let answer = try await write(request) { try MultipartCatalog.begin($0, upload) }
    var document = XMLText()
    document.element("InitiateMultipartUploadResult", namespace: XMLText.s3Namespace) { xml in
      xml.element("Bucket", request.bucket)
      xml.element("Key", request.key)
      xml.element("UploadId", id.text)
    }
    var response = xml(document)
    response.headers[.komoraPosition] = "\(answer.position)"
    return response
  }

  /// The one that `x-amz-checksum-algorithm` asks for.
  static func checksumAlgorithm(_ request: S3Request) throws(S3Error) -> PayloadChecksum.Algorithm? {
    guard let name = request.signed["x-amz-checksum-algorithm"] else { return nil }
    guard let algorithm = PayloadChecksum.Algorithm(rawValue: name.lowercased()) else {
      throw S3Error.notImplemented("The checksum algorithm \(name)")
    }
    return algorithm
  }

  private static func scope(
    _ request: S3Request, _ algorithm: PayloadChecksum.Algorithm
  ) throws(S3Error) -> ObjectChecksum.Scope {
    let isOfCRC64 = algorithm == .crc64nvme
    guard let text = request.signed["x-amz-checksum-type"] else { return isOfCRC64 ? .fullObject : .composite }
    let isHash = algorithm == .sha1 || algorithm == .sha256
    guard let scope = ObjectChecksum.Scope(rawValue: text), scope == .composite ? !isOfCRC64 : !isHash else {
      throw S3Error(
        .badRequest, "InvalidRequest", "This checksum type cannot be used with \(algorithm.rawValue.uppercased()).")
    }
    return scope
  }

  func putPart(_ request: S3Request) async throws -> Response {
    try request.allowOnly(["uploadId", "partNumber"])
    try Self.refuseReadOnly(request.key)
    let id = try UploadID(request.target)
    guard let number = request.target.value("partNumber").flatMap({ Int($0) }),
      (1...MultipartLimits.partNumberMax).contains(number)
    else {
      throw S3Error.invalidArgument("Part number must be an integer between 1 and \(MultipartLimits.partNumberMax).")
    }
    if request.signed["x-amz-copy-source"] != nil { return try await copyPart(request, id, number) }
    try request.refuseUnknownWishes()
    return try await receive(request, before: { _ = try await openUpload(request, id) }) { stored, checksum in
      let position = try await commitPart(request, id, number, stored, checksum)
      return [.eTag: "\"\(stored.md5.hex)\"", .komoraPosition: "\(position)"]
    }
  }

  private func copyPart(_ request: S3Request, _ id: UploadID, _ number: Int) async throws -> Response {
    try request.refuseUnknownWishes(besides: Self.sourceFields.union(["x-amz-copy-source-range"]))
    _ = try await openUpload(request, id)
    let source = try await source(request)
    let range = try Self.sourceRange(request.signed["x-amz-copy-source-range"], size: source.bytes)
    return try await patiently(request) { [self] in
      let stored = try await assemble([(source.id, range)], of: request.account.id)
      let position = try await commitPart(request, id, number, stored, nil)
      let document = Self.copied("CopyPartResult", etag: stored.md5.hex, at: clock.unixMicroseconds())
      return (document, [.komoraPosition: "\(position)"])
    }
  }

  private static func sourceRange(_ field: String?, size: Int) throws(S3Error) -> ByteRange {
    guard let field else { return ByteRange(start: 0, end: size) }
    // Both ends must be given, and lie in the source: less than was asked for would be another object.
    guard case .part(let range) = ByteRange.parse(field, size: size), field == "bytes=\(range.start)-\(range.end - 1)"
    else { throw S3Error.invalidArgument("The range is not valid for a source of \(size) bytes.") }
    return range
  }

  private func commitPart(
    _ request: S3Request, _ id: UploadID, _ number: Int, _ stored: StoredRecording, _ checksum: ObjectChecksum?
  ) async throws -> Position {
    let (key, now) = (request.key, clock.unixMicroseconds())
    return try await write(request) { connection in
      _ = try Self.openUpload(connection, id, key: key)
      try MultipartCatalog.put(
        connection, part: number, of: id.bytes, stored, checksum: checksum?.text ?? "", at: now)
    }.position
  }

  func abortUpload(_ request: S3Request) async throws -> Response {
    try request.allowOnly(["uploadId"])
    let id = try UploadID(request.target)
    let key = request.key
    let answer = try await write(request) { connection in
      _ = try Self.openUpload(connection, id, key: key)
      try MultipartCatalog.end(connection, id.bytes)
    }
    return Response(status: .noContent, headers: [.komoraPosition: "\(answer.position)"])
  }

  /// `.noSuchUpload` unless it is open and of this key.
  static func openUpload(_ connection: Connection, _ id: UploadID, key: String) throws -> MultipartUpload {
    guard let upload = try MultipartCatalog.upload(connection, id.bytes), upload.etag == nil,
      upload.key.utf8.elementsEqual(key.utf8)
    else { throw S3Error.noSuchUpload }
    return upload
  }

  func openUpload(_ request: S3Request, _ id: UploadID) async throws -> MultipartUpload {
    let key = request.key
    return try await node.engine.read(
      request.account.id, from: request.serving.source, confirm: request.serving.confirm
    ) {
      try Self.openUpload($0, id, key: key)
    }.value
  }
}
