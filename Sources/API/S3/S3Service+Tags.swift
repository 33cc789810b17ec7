// An object's tags, read and written alone.

import Base
import HTTPTypes
import Hummingbird
import Node
import ShardStore
import SigV4

extension S3Service {
  /// Ten tags of 128 and 256 characters, escaped.
  private static let tagBytesMax = 128 << 10

  func tags(_ request: S3Request) async throws -> Response {
    try request.allowOnly(["tagging"])
    let (row, position) = try await row(request)
    var response = xml(ObjectMetadata(json: row.metadata).tags.document)
    response.headers[.komoraPosition] = "\(position)"
    return response
  }

  func putTags(_ request: S3Request) async throws -> Response {
    try request.allowOnly(["tagging"])
    try Self.refuseReadOnly(request.key)
    let tags = try ObjectTags(xml: try await body(request, max: Self.tagBytesMax))
    return Response(status: .ok, headers: [.komoraPosition: "\(try await replaceTags(request, tags))"])
  }

  func deleteTags(_ request: S3Request) async throws -> Response {
    try request.allowOnly(["tagging"])
    try Self.refuseReadOnly(request.key)
    return Response(status: .noContent, headers: [.komoraPosition: "\(try await replaceTags(request, ObjectTags()))"])
  }

  private func replaceTags(_ request: S3Request, _ tags: ObjectTags) async throws -> Position {
    let key = request.key
    return try await write(request) { connection in
      guard let row = try RecordingCatalog.get(connection, key: key) else { throw S3Error.noSuchKey }
      var metadata = ObjectMetadata(json: row.metadata)
      metadata.tags = tags
      _ = try RecordingCatalog.describe(
        connection, key: key, contentType: row.contentType, metadata: metadata.json, at: nil)
    }.position
  }
}
