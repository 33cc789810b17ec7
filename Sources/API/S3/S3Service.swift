// The S3 port: one signature check in front of every handler, then the handler that the method and path name.
//
// A bucket is called like its account, and a key opens its own account's bucket only; every other name, whether it
// exists or not, is refused alike.

import Base
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Node
import OpenSSL
import SQLite
import ShardStore
import SigV4

struct S3Service: HTTPResponder {
  typealias Context = APIContext

  let node: NodeService
  let clock: any StoreClock
  let deadlines: Deadlines
  let figures: RequestFigures

  func respond(to request: Request, context: APIContext) async throws -> Response {
    let began = clock.monotonicNanoseconds()
    let id = SystemRandom.bytes(8).hex
    var response: Response
    do {
      response = try await answer(request, context)
    } catch let thrown {
      let served = thrown as? ServedFailure
      let error = served?.underlying ?? thrown
      let shown = S3Error(thrown: error)
      if shown.status.code >= 500, shown.status != .notImplemented {
        context.logger.error("S3 request failed", metadata: ["request": "\(id)", "error": "\(error)"])
      }
      response = refusal(shown, request, id)
      for field in served?.fields ?? [:] { response.headers.append(field) }
    }
    // What another node answered keeps that node's name and number.
    if response.headers[.amazonRequestID] == nil { response.headers[.amazonRequestID] = id }
    if response.headers[.komoraNode] == nil { response.headers[.komoraNode] = node.configuration.name }
    if node.isLeaving, context.mayEndConnection { response.headers[.connection] = "close" }
    let status = response.status.code
    figures.note(
      surface: "s3", status: status, nanoseconds: clock.monotonicNanoseconds() - began)
    return response
  }

  private func refusal(_ error: S3Error, _ request: Request, _ id: String) -> Response {
    var fields: HTTPFields = [.contentType: "application/xml"]
    if error.status == .serviceUnavailable { fields[.retryAfter] = "1" }
    guard request.method != .head, error.status != .notModified else {
      return Response(status: error.status, headers: fields)
    }
    let path = request.head.path?.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).first
    let body = error.body(resource: String(path ?? "/"), requestID: id)
    return Response(status: error.status, headers: fields, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
  }

  private func answer(_ request: Request, _ context: APIContext) async throws -> Response {
    let checked = try check(request, context)
    guard !checked.bucket.isEmpty else {
      guard request.method == .get else { throw S3Error.notImplemented("\(request.method.rawValue) of the service") }
      return try listBuckets(checked)
    }
    guard checked.bucket == checked.account.name, checked.account.isActive else { throw S3Error.accessDenied }
    if node.standsAlone { return try await answer(checked) }
    return try await answerAnywhere(checked)
  }

  func answer(_ request: S3Request) async throws -> Response {
    request.key.isEmpty ? try await bucket(request) : try await object(request)
  }

  /// Who asks, and that the head of the request is theirs.
  private func check(_ request: Request, _ context: APIContext) throws -> S3Request {
    do {
      let target = try RequestTarget(request.head.path ?? "")
      var fields = [(name: "host", value: request.head.authority ?? "")]
      fields += request.headers.map { (name: $0.name.canonicalName, value: $0.value) }
      let signed = try SignedRequest(method: request.method.rawValue, target: target, fields: fields)
      let now = clock.unixMicroseconds() / 1_000_000
      let claim = try SignatureClaim(signed, now: now, overTLS: true)
      guard let key = node.s3Key(accessKey: claim.accessKey) else {
        noteFailure(context, "unknown access key")
        throw S3Error(.forbidden, "InvalidAccessKeyId", "The access key does not exist.")
      }
      let verified = try claim.verify(secret: key.secret)
      return S3Request(
        request: request, context: context, signed: signed, verified: verified, account: key.account,
        path: ObjectPath(target.path))
    } catch let error as SigV4Error {
      noteFailure(context, error.code.rawValue)
      throw error
    }
  }

  private func noteFailure(_ context: APIContext, _ reason: String) {
    node.metrics.counter("komora_authentication_failures_total", [("surface", "s3")]).increment()
    context.logger.notice(
      "authentication failed",
      metadata: ["reason": "\(reason)", "from": "\(context.clientAddress ?? "unknown")"])
  }

  private func bucket(_ request: S3Request) async throws -> Response {
    let target = request.target
    switch request.request.method {
    case .get where target.value("location") != nil: return try location(request)
    case .get where target.value("uploads") != nil: return try await listUploads(request)
    case .get where target.value("versioning") != nil: return try versioning(request)
    case .get where target.value("acl") != nil: return try accessControl(request)
    case .get: return try await list(request)
    case .head:
      try request.allowOnly([])
      return Response(status: .ok)
    case .put:
      try request.allowOnly([])
      throw S3Error(.conflict, "BucketAlreadyOwnedByYou", "The bucket is there: every account has the one of its name.")
    case .post where target.value("delete") != nil: return try await deleteMany(request)
    default: throw S3Error.notImplemented(request.operation)
    }
  }

  private func object(_ request: S3Request) async throws -> Response {
    guard request.key.utf8.count <= S3Request.keyBytesMax else {
      throw S3Error(.badRequest, "KeyTooLongError", "A key has at most \(S3Request.keyBytesMax) bytes.")
    }
    let (target, method) = (request.target, request.request.method)
    let (isOfUpload, isOfTags) = (target.value("uploadId") != nil, target.value("tagging") != nil)
    switch method {
    case .get where isOfUpload: return try await listParts(request)
    case .get where isOfTags: return try await tags(request)
    case .get where target.value("acl") != nil: return try await objectAccessControl(request)
    case .get, .head: return try await get(request)
    case .put where isOfUpload: return try await putPart(request)
    case .put where isOfTags: return try await putTags(request)
    case .put where request.signed["x-amz-copy-source"] != nil: return try await copy(request)
    case .put: return try await put(request)
    case .delete where isOfUpload: return try await abortUpload(request)
    case .delete where isOfTags: return try await deleteTags(request)
    case .delete: return try await delete(request)
    case .post where isOfUpload: return try await completeUpload(request)
    case .post where target.value("uploads") != nil: return try await beginUpload(request)
    default: throw S3Error.notImplemented(request.operation)
    }
  }

  /// A write, for as long as its client waits; alone, a node waits for its own disk only.
  func write<T: Sendable>(
    _ request: S3Request, _ body: @escaping @Sendable (Connection) throws -> T
  ) async throws -> Answer<T> {
    let (engine, account) = (node.engine, request.account.id)
    guard request.serving != nil else { return try await engine.write(account, body) }
    // Counted from here: what came before is the body's own time.
    let deadline = max(request.context.deadline, .now + node.configuration.timers.requestTimeout / 2)
    return try await deadlines.bound(deadline) { try await engine.write(account, body) }
  }

  func xml(_ xml: XMLText) -> Response {
    Response(
      status: .ok, headers: [.contentType: "application/xml"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: xml.bytes)))
  }
}
