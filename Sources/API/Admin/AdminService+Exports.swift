// Exports: asked for where the account is led, found and read wherever they lie.
//
// An export is the account's data. Whoever may back an account up may have one made, look at it and remove it; its bytes
// go to the account itself and to administrators who may read its data anyway.

import Backup
import Base
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Node
import Threads

extension AdminService {
  private struct ExportBody: Codable {
    /// RFC 3339.
    var from: String?
    var to: String?
    var recipients: [String]?
    var sinceLast: Bool?
    var partBytes: UInt64?
    /// `original` or `flac`.
    var audio: String?
  }

  /// Whoever leads the account makes its exports.
  func addExportRoute(to shards: RouterGroup<APIContext>) {
    shards.post("accounts/:account/exports") { request, context in
      let record = try access.account(.backup, ownerToo: true, request, context)
      let wanted = try await body(ExportBody.self, of: request, context)
      guard wanted.audio == nil || wanted.audio == "original" || wanted.audio == "flac" else {
        throw APIError(.unprocessableContent, code: "invalid", "audio is original or flac")
      }
      let (export, job) = try await node.startExport(
        ExportRequest(
          account: record.name, from: try Self.moment(wanted.from), to: try Self.moment(wanted.to),
          recipients: wanted.recipients ?? [], sinceLast: wanted.sinceLast ?? false, partBytes: wanted.partBytes,
          asFLAC: wanted.audio == "flac"))
      log("export started", record.id, export, request, context)
      return try accepted(job)
    }
  }

  func addExportRoutes(to router: RouterGroup<APIContext>) {
    router.get("accounts/:account/exports") { request, context in
      let name = try exported(.read, request, context)
      return try AdminJSON.response(try await exports(of: name, request, context))
    }
    router.get("accounts/:account/exports/:export") { request, context in
      let name = try exported(.read, request, context)
      let id = try exportID(context)
      let all = try await exports(of: name, request, context)
      if let found = all.exports.first(where: { $0.id == "\(id)" }) { return try AdminJSON.response(found) }
      guard let silent = all.silent else { throw Self.noExport }
      throw Self.unknown(silent)
    }
    router.get("accounts/:account/exports/:export/content") { request, context in
      let name = try exported(.data, request, context)
      let id = try exportID(context)
      do { return try await content(name, id, request, context) } catch let error as NodeError
        where error.code == .notFound
      {
        return try await elsewhere(request, context)
      }
    }
    router.delete("accounts/:account/exports/:export") { request, context in
      let name = try exported(.backup, request, context)
      let id = try exportID(context)
      do throws(NodeError) { try await node.cancelExport(account: name, id) } catch {
        guard error.code == .notFound else { throw error }
        return try await elsewhere(request, context)
      }
      if let record = node.archivedOrLiving(name) { log("export removed", record.id, id, request, context) }
      return Response(status: .noContent)
    }
  }

  // MARK: here

  /// One piece at a time, as fast as the client takes them.
  private static let pieceBytes = 256 << 10

  private func content(
    _ name: String, _ id: ExportID, _ request: Request, _ context: APIContext
  ) async throws -> Response {
    let (info, file) = try await node.openExport(account: name, id)
    let tag = "\"\(info.hash.hex)\""
    var fields: HTTPFields = [
      .contentType: "application/octet-stream", .eTag: tag, .acceptRanges: "bytes", .cacheControl: "private",
      .contentDisposition: "attachment; filename=\"\(info.file)\"",
    ]
    let size = Int(info.bytes)
    var (range, status) = (ByteRange(start: 0, end: size), HTTPResponse.Status.ok)
    let isSame = request.headers[.ifRange].map { $0 == tag } ?? true
    switch ByteRange.parse(isSame ? request.headers[.range] : nil, size: size) {
    case .whole: break
    case .unsatisfiable:
      fields[.contentRange] = "bytes */\(size)"
      return Response(status: .rangeNotSatisfiable, headers: fields)
    case .part(let part):
      (range, status) = (part, .partialContent)
      fields[.contentRange] = "bytes \(part.start)-\(part.end - 1)/\(size)"
    }
    if range.start == 0 { log("export read", info.account, id, request, context) }
    return Response(
      status: status, headers: fields,
      body: ResponseBody(contentLength: range.count) { [node, range] writer in
        var offset = range.start
        while offset < range.end {
          let bytes = try await node.readExport(
            file, from: UInt64(offset), count: min(Self.pieceBytes, range.end - offset))
          guard !bytes.isEmpty else { throw APIError(.internalServerError, code: "io", "the export ends early") }
          try await writer.write(ByteBuffer(bytes: bytes))
          offset += bytes.count
          await context.settle()
        }
        try await writer.finish(nil)
      })
  }

  // MARK: anywhere

  /// What all nodes have; of a request that came from another node only what this one has.
  private func exports(of name: String, _ request: Request, _ context: APIContext) async throws -> ExportsReply {
    let own = node.configuration.name
    var reply = ExportsReply(exports: [])
    do throws(NodeError) {
      reply.exports = try await node.exports(account: name).map { ExportReply($0, on: own) }
    } catch {
      guard error.code == .notFound else { throw error }
      throw Access.noAccount
    }
    guard !node.standsAlone, context.forwarded == nil else { return reply }
    let wanted = asked(.get, "/v1/accounts/\(name)/exports", request, context, ByteBuffer())
    let deadline = min(context.deadline, .now + Self.othersWait)
    await withTaskGroup(of: (NodeID, [ExportReply]?).self) { group in
      for other in node.otherNodes {
        group.addTask { (other, await exports(of: other, wanted, until: deadline)) }
      }
      for await (other, exports) in group {
        reply.exports += exports ?? []
        if exports == nil { reply.silent = (reply.silent ?? []) + [node.nodeName(other) ?? "\(other)"] }
      }
    }
    reply.silent?.sort()
    reply.exports.sort { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
    return reply
  }

  private func exports(
    of other: NodeID, _ wanted: ShardRequest, until deadline: ContinuousClock.Instant
  ) async -> [ExportReply]? {
    let outcome = await ForwardAttempt(node: node, wanted: wanted, target: other, deadline: deadline).run()
    guard case .answered(let answer) = outcome, answer.status == .ok else { return nil }
    let collector = BodyCollector(bytesMax: Self.listBytesMax)
    guard (try? await answer.body.write(collector)) != nil else { return nil }
    return (try? AdminJSON.decode(ExportsReply.self, from: collector.bytes.with { $0 }))?.exports
  }

  /// Has the request answered by the node that has the export.
  private func elsewhere(_ request: Request, _ context: APIContext) async throws -> Response {
    guard !node.standsAlone, context.forwarded == nil else { throw Self.noExport }
    var silent: [String] = []
    for other in node.otherNodes {
      guard let response = try await anywhere.ask(other, request, context) else {
        silent.append(node.nodeName(other) ?? "\(other)")
        continue
      }
      if response.status != .notFound { return response }
    }
    throw silent.isEmpty ? Self.noExport : Self.unknown(silent)
  }

  // MARK: words

  private static let noExport = APIError(.notFound, code: "notFound", "there is no such export")

  private static func unknown(_ silent: [String]) -> APIError {
    APIError(
      .serviceUnavailable, code: "unavailable",
      "\(silent.joined(separator: ", ")) does not answer and may have the export: start that node first", applied: .no)
  }

  private func exportID(_ context: APIContext) throws(APIError) -> ExportID {
    guard let id = context.parameters.get("export").flatMap({ ExportID($0) }) else { throw Self.noExport }
    return id
  }

  /// The name of an account whose exports may be used so; the account itself may be deleted already.
  private func exported(_ scope: AdminScope, _ request: Request, _ context: APIContext) throws(APIError) -> String {
    let principal = try access.principal(request, context)
    let isAllowed = principal.allows(scope) || (scope == .read && principal.allows(.backup))
    if isAllowed { return context.parameters.get("account") ?? "" }
    return try access.account(scope, ownerToo: true, request, context).name
  }

  private static func moment(_ text: String?) throws(APIError) -> UnixMicroseconds? {
    guard let text else { return nil }
    guard let moment = RFC3339.moment(text) else {
      throw APIError(.badRequest, code: "invalid", "from and to are times such as 2026-01-31T12:00:00Z")
    }
    return moment
  }

  /// Who did it, with ids only: nothing of the account's data, not even its name.
  private func log(
    _ what: String, _ account: AccountID, _ export: ExportID, _ request: Request, _ context: APIContext
  ) {
    let by =
      switch access.known(request) {
      case .admin(let name, _)?: "administrator \(name)"
      case .account(_, let key)?: "key \(key)"
      case nil: "unknown"
      }
    context.logger.notice(
      "\(what)",
      metadata: [
        "account": "\(account)", "export": "\(export)", "by": "\(by)", "from": "\(context.clientAddress ?? "unknown")",
      ])
  }
}
