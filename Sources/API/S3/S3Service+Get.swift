// Getting an object: whole, a range of it, or its head only.

import Base
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Node
import ShardStore
import SigV4

extension S3Service {
  /// Parameters that replace a field of the reply.
  private static let overrides: [String: HTTPField.Name] = [
    "response-content-type": .contentType, "response-content-language": .contentLanguage,
    "response-expires": .expires, "response-cache-control": .cacheControl,
    "response-content-disposition": .contentDisposition, "response-content-encoding": .contentEncoding,
  ]

  func get(_ request: S3Request) async throws -> Response {
    try request.allowOnly(Set(Self.overrides.keys))
    try request.refuseUnknownReads()
    let (account, key) = (request.account.id, request.key)
    let answer = try await node.engine.read(account, from: request.serving.source, confirm: request.serving.confirm) {
      try RecordingCatalog.get($0, key: key)
    }
    guard let row = answer.value else { throw S3Error.noSuchKey }
    try ObjectConditions(request.request.headers).checkRead(etag: row.etag, modified: row.createdAt / 1_000_000)

    var fields = try Self.fields(of: row, request)
    fields[.komoraPosition] = "\(answer.position)"
    let range: ByteRange
    var status = HTTPResponse.Status.ok
    switch ByteRange.parse(request.request.headers[.range], size: row.bytes) {
    case .whole: range = ByteRange(start: 0, end: row.bytes)
    case .unsatisfiable:
      throw S3Error(.rangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable.")
    case .part(let part):
      (range, status) = (part, .partialContent)
      fields[.contentRange] = "bytes \(part.start)-\(part.end - 1)/\(row.bytes)"
    }
    fields[.contentLength] = String(range.count)
    guard !request.isHead, range.count > 0 else { return Response(status: status, headers: fields) }
    let reader = try await node.engine.recording(account, row.id)
    let first = try await reader.read(offset: range.start, count: range.count)
    return Response(
      status: status, headers: fields,
      body: ResponseBody(contentLength: range.count) { writer in
        try await Self.send(reader, range, first: first, to: &writer)
      })
  }

  /// One chunk at a time, as fast as the client takes them. The first one was read before the head was sent, so that
  /// most damage shows as an error instead of a broken body.
  private static func send(
    _ reader: RecordingReader, _ range: ByteRange, first: [UInt8], to writer: inout any ResponseBodyWriter
  ) async throws {
    var offset = range.start
    var bytes = first
    while true {
      guard !bytes.isEmpty else { throw S3Error(.internalServerError, "InternalError", "the recording ends early") }
      try await writer.write(ByteBuffer(bytes: bytes))
      offset += bytes.count
      guard offset < range.end else { break }
      bytes = try await reader.read(offset: offset, count: range.end - offset)
    }
    try await writer.finish(nil)
  }

  private static func fields(of row: RecordingRow, _ request: S3Request) throws -> HTTPFields {
    var fields: HTTPFields = [
      .contentType: row.contentType, .eTag: row.etag, .lastModified: HTTPDate.text(row.createdAt / 1_000_000),
      .acceptRanges: "bytes",
    ]
    for (name, value) in ObjectMetadata(json: row.metadata).values {
      if let name = HTTPField.Name("x-amz-meta-" + name) { fields[name] = value }
    }
    for item in request.target.query {
      guard let name = overrides[item.name] else { continue }
      // A line break here would let a link that somebody was given write fields of its own.
      guard item.value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }), HTTPField.isValidValue(item.value) else {
        throw S3Error.invalidArgument("The value of \(item.name) is not allowed in a header field.")
      }
      fields[name] = item.value
    }
    return fields
  }
}

extension S3Request {
  func refuseUnknownReads() throws(S3Error) {
    for name in ["x-amz-server-side-encryption-customer-algorithm", "x-amz-copy-source"] where signed[name] != nil {
      throw .notImplemented
    }
  }
}
