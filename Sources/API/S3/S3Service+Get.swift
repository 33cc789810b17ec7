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

  /// What a get says of an object, and which of its bytes it sends.
  private struct View: Sendable {
    var status = HTTPResponse.Status.ok
    var fields: HTTPFields
    var range: ByteRange
  }

  func get(_ request: S3Request) async throws -> Response {
    try request.allowOnly(Set(Self.overrides.keys).union(["partNumber"]))
    try request.refuseUnknownReads()
    let key = request.key
    let answer = try await node.engine.readObject(
      request.account.id, from: request.serving.source, confirm: request.serving.confirm
    ) { connection in
      guard let row = try RecordingCatalog.get(connection, key: key) else { throw S3Error.noSuchKey }
      let view = try Self.view(of: row, request)
      guard !request.isHead, view.range.count > 0 else { return (view, nil) }
      return (view, RecordingWish(row.id, offset: view.range.start, count: view.range.count))
    }
    let view = answer.value.value
    var fields = view.fields
    fields[.komoraPosition] = "\(answer.position)"
    guard let reader = answer.value.reader else { return Response(status: view.status, headers: fields) }
    let (range, first) = (view.range, answer.value.first)
    guard first.count < range.count else {
      // Head and body in one write.
      return Response(
        status: view.status, headers: fields, body: ResponseBody(byteBuffer: ByteBuffer(bytes: first)))
    }
    return Response(
      status: view.status, headers: fields,
      body: ResponseBody(contentLength: range.count) { writer in
        try await Self.send(reader, range, first: first, to: &writer, request.context)
      })
  }

  private static func view(of row: RecordingRow, _ request: S3Request) throws -> View {
    try ObjectConditions(request.request.headers).checkRead(etag: row.etag, modified: row.createdAt / 1_000_000)
    let metadata = ObjectMetadata(json: row.metadata)
    var view = View(
      fields: try fields(of: row, metadata, request), range: ByteRange(start: 0, end: row.bytes))
    if let part = try part(request, metadata, size: row.bytes) {
      (view.range, view.status) = (part, .partialContent)
      if !metadata.parts.isEmpty { view.fields[.amazonPartsCount] = String(metadata.parts.count) }
    } else {
      switch ByteRange.parse(request.request.headers[.range], size: row.bytes) {
      case .whole:
        // Of all bytes: with a part of them a client would take it for the part's.
        if request.signed["x-amz-checksum-mode"]?.lowercased() == "enabled" {
          view.fields.append(contentsOf: checksumFields(metadata.checksum))
        }
      case .unsatisfiable:
        throw S3Error(.rangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable.")
      case .part(let part): (view.range, view.status) = (part, .partialContent)
      }
    }
    if view.status == .partialContent, view.range.count > 0 {
      view.fields[.contentRange] = "bytes \(view.range.start)-\(view.range.end - 1)/\(row.bytes)"
    }
    view.fields[.contentLength] = String(view.range.count)
    return view
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
    _ reader: RecordingReader, _ range: ByteRange, first: [UInt8], to writer: inout any ResponseBodyWriter,
    _ context: APIContext
  ) async throws {
    var offset = range.start
    var bytes = first
    while true {
      guard !bytes.isEmpty else { throw S3Error(.internalServerError, "InternalError", "the recording ends early") }
      try await writer.write(ByteBuffer(bytes: bytes))
      offset += bytes.count
      guard offset < range.end else { break }
      bytes = try await reader.read(offset: offset, count: range.end - offset)
      await context.settle()
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
