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
    try request.allowOnly(Set(Self.overrides.keys).union(["partNumber"]))
    try request.refuseUnknownReads()
    let (row, position) = try await row(request)
    try ObjectConditions(request.request.headers).checkRead(etag: row.etag, modified: row.createdAt / 1_000_000)

    let metadata = ObjectMetadata(json: row.metadata)
    var fields = try Self.fields(of: row, metadata, request)
    fields[.komoraPosition] = "\(position)"
    var range = ByteRange(start: 0, end: row.bytes)
    var status = HTTPResponse.Status.ok
    if let part = try Self.part(request, metadata, size: row.bytes) {
      (range, status) = (part, .partialContent)
      if !metadata.parts.isEmpty { fields[.amazonPartsCount] = String(metadata.parts.count) }
    } else {
      switch ByteRange.parse(request.request.headers[.range], size: row.bytes) {
      case .whole:
        // Of all bytes: with a part of them a client would take it for the part's.
        if request.signed["x-amz-checksum-mode"]?.lowercased() == "enabled" {
          fields.append(contentsOf: Self.checksumFields(metadata.checksum))
        }
      case .unsatisfiable:
        throw S3Error(.rangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable.")
      case .part(let part): (range, status) = (part, .partialContent)
      }
    }
    if status == .partialContent, range.count > 0 {
      fields[.contentRange] = "bytes \(range.start)-\(range.end - 1)/\(row.bytes)"
    }
    fields[.contentLength] = String(range.count)
    guard !request.isHead, range.count > 0 else { return Response(status: status, headers: fields) }
    let asked = range
    let reader = try await node.engine.recording(request.account.id, row.id)
    let first = try await reader.read(offset: asked.start, count: asked.count)
    return Response(
      status: status, headers: fields,
      body: ResponseBody(contentLength: asked.count) { writer in
        try await Self.send(reader, asked, first: first, to: &writer)
      })
  }

  /// The row of the object that the path names.
  func row(_ request: S3Request) async throws -> (row: RecordingRow, position: Position) {
    let key = request.key
    let answer = try await node.engine.read(
      request.account.id, from: request.serving.source, confirm: request.serving.confirm
    ) {
      try RecordingCatalog.get($0, key: key)
    }
    guard let row = answer.value else { throw S3Error.noSuchKey }
    return (row, answer.position)
  }

  /// Where part `partNumber` lies; an object that came in one piece is its own part 1.
  private static func part(_ request: S3Request, _ metadata: ObjectMetadata, size: Int) throws(S3Error) -> ByteRange? {
    guard let text = request.target.value("partNumber") else { return nil }
    guard request.request.headers[.range] == nil else {
      throw S3Error.invalidArgument("A range and a part number cannot be asked for together.")
    }
    guard let number = Int(text), (1...MultipartLimits.partNumberMax).contains(number) else {
      throw S3Error.invalidArgument("partNumber must lie between 1 and \(MultipartLimits.partNumberMax).")
    }
    let parts = metadata.parts.isEmpty ? [size] : metadata.parts
    guard number <= parts.count else {
      throw S3Error(.rangeNotSatisfiable, "InvalidPartNumber", "The object has \(parts.count) parts.")
    }
    let start = parts[..<(number - 1)].reduce(0, +)
    return ByteRange(start: start, end: start + parts[number - 1])
  }

  static func checksumFields(_ checksum: ObjectChecksum?) -> HTTPFields {
    guard let checksum, let name = HTTPField.Name(checksum.algorithm.field) else { return [:] }
    return [name: checksum.value, .amazonChecksumType: checksum.scope.rawValue]
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

  private static func fields(of row: RecordingRow, _ metadata: ObjectMetadata, _ request: S3Request) throws
    -> HTTPFields
  {
    var fields: HTTPFields = [
      .contentType: row.contentType, .eTag: row.etag, .lastModified: HTTPDate.text(row.createdAt / 1_000_000),
      .acceptRanges: "bytes",
    ]
    for field in metadata.replyFields { fields[field.name] = field.value }
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
      throw .notImplemented("The field \(name)")
    }
  }
}
