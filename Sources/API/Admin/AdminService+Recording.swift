// `GET /v1/accounts/{a}/snapshots/{id}/recordings/{key}`: one recording as a snapshot has it, whole or a range of it; under
// `moments/{time}` as the account had it then.
//
// It is the account's data: the account's own token may have it, and administrators who may read its data. What is not in
// this node's archive is asked of the others.

import Backup
import Base
import Formats
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Node

extension AdminService {
  func addRecordingRoutes(to router: RouterGroup<APIContext>) {
    router.get("accounts/:account/snapshots/:snapshot/recordings/**") { request, context in
      guard let id = context.parameters.get("snapshot").flatMap({ SnapshotID($0) }) else { throw Self.noSnapshot }
      return try await recording(at: .snapshot(id), request, context)
    }
    router.get("accounts/:account/moments/:moment/recordings/**") { request, context in
      guard let moment = context.parameters.get("moment").flatMap({ RFC3339.moment($0.removingPercentEncoding ?? $0) })
      else {
        throw APIError(.badRequest, code: "invalid", "the moment is a time such as 2026-01-31T12:00:00Z")
      }
      return try await recording(at: .moment(moment), request, context)
    }
  }

  private func recording(
    at point: SnapshotRecordings.Point, _ request: Request, _ context: APIContext
  ) async throws -> Response {
    let principal = try access.principal(request, context)
    let name =
      principal.allows(.data)
      ? context.parameters.get("account") ?? "" : try access.account(.data, ownerToo: true, request, context).name
    guard let key = Self.key(of: request) else {
      throw APIError(.badRequest, code: "invalid", "the recording's key is missing behind recordings/")
    }
    do {
      return try await response(node.recording(account: name, key, at: point), request, context)
    } catch let error as NodeError where error.code == .notFound && context.forwarded == nil && !node.standsAlone {
      for other in node.otherNodes {
        if let there = try await anywhere.ask(other, request, context), there.status != .notFound { return there }
      }
      throw error
    }
  }

  /// Everything behind the first `/recordings/`, decoded once.
  private static func key(of request: Request) -> String? {
    guard let place = request.uri.path.firstRange(of: "/recordings/") else { return nil }
    let key = String(request.uri.path[place.upperBound...])
    guard !key.isEmpty, key.utf8.count <= 3 * Limits.recordingKeyBytesMax else { return nil }
    return key.removingPercentEncoding
  }

  private func response(_ recording: SnapshotRecording, _ request: Request, _ context: APIContext) async throws
    -> Response
  {
    guard !recording.isErased else {
      throw APIError(.gone, code: "erased", "the recording was erased: its key is destroyed, here and in every archive")
    }
    let tag = "\"\(recording.md5.hex)\""
    var fields: HTTPFields = [
      .contentType: recording.contentType, .eTag: tag, .acceptRanges: "bytes", .cacheControl: "private",
    ]
    var (range, status) = (ByteRange(start: 0, end: recording.bytes), HTTPResponse.Status.ok)
    let isSame = request.headers[.ifRange].map { $0 == tag } ?? true
    switch ByteRange.parse(isSame ? request.headers[.range] : nil, size: recording.bytes) {
    case .whole: break
    case .unsatisfiable:
      fields[.contentRange] = "bytes */\(recording.bytes)"
      return Response(status: .rangeNotSatisfiable, headers: fields)
    case .part(let part):
      (range, status) = (part, .partialContent)
      fields[.contentRange] = "bytes \(part.start)-\(part.end - 1)/\(recording.bytes)"
    }
    // Before the head leaves: damage is an answer of its own, not a body that ends early.
    var first: ArraySlice<UInt8> = []
    if range.count > 0 { first = try await node.read(recording, from: range.start, count: range.count) }
    return Response(
      status: status, headers: fields,
      body: ResponseBody(contentLength: range.count) { [node, range, first] writer in
        var (offset, bytes) = (range.start, first)
        while !bytes.isEmpty {
          try await writer.write(ByteBuffer(bytes: bytes))
          offset += bytes.count
          await context.settle()
          guard offset < range.end else { break }
          bytes = try await node.read(recording, from: offset, count: range.end - offset)
        }
        try await writer.finish(nil)
      })
  }
}
