// Snapshots, restores and verifications, and the jobs that they are.

import Backup
import Base
import HTTPTypes
import Hummingbird
import NIOCore
import Node

extension AdminService {
  struct RestoreBody: Codable {
    var account: String?
    /// An id; without one, or with `latest`, the newest.
    var snapshot: String?
    var latest: Bool?
    /// A moment, in RFC 3339 or `now`, instead of a snapshot.
    var at: String?
    /// The account that is made; without it `in_place`.
    var `as`: String?
    /// The account itself becomes what it was.
    var inPlace: Bool?
    var dryRun: Bool?
    /// Patterns: chosen rows and recordings alone.
    var only: [String]?
  }

  /// Whoever leads the account takes its snapshots.
  func addSnapshotRoute(to shards: RouterGroup<APIContext>) {
    shards.post("accounts/:account/snapshots") { request, context in
      let record = try access.account(.backup, ownerToo: true, request, context)
      return try accepted(node.startSnapshot(account: record.name))
    }
  }

  /// What is in archives is found and used where it lies, whoever leads the account now.
  func addBackupRoutes(to router: RouterGroup<APIContext>) {
    addDiffRoute(to: router)
    addVerifyRoutes(to: router)
    addRecordingRoutes(to: router)
    router.get("accounts/:account/snapshots") { request, context in
      let name = try archived(request, context)
      return try AdminJSON.response(try await archives(of: name, request, context))
    }
    router.get("accounts/:account/snapshots/:snapshot") { request, context in
      let name = try archived(request, context)
      let id = try snapshotID(context.parameters.get("snapshot"))
      return try AdminJSON.response(try find(id, in: await archives(of: name, request, context)))
    }
    router.get("accounts/:account/moments") { request, context in
      let name = try archived(request, context)
      return try AdminJSON.response(try await moments(of: name, request, context))
    }
    router.post("accounts/:account/restores") { request, context in
      try access.administrator(.backup, request, context)
      return try await restore(request, context, account: context.parameters.get("account"))
    }
    addUndoRoute(to: router)
    router.post("restores") { request, context in
      try access.administrator(.backup, request, context)
      return try await restore(request, context, account: nil)
    }
  }

  private func restore(_ request: Request, _ context: APIContext, account: String?) async throws -> Response {
    let wanted = try await body(RestoreBody.self, of: request, context)
    guard let source = account ?? wanted.account else {
      throw APIError(.badRequest, code: "invalid", "the field account is missing")
    }
    guard wanted.inPlace != true || (wanted.only ?? []).isEmpty else {
      throw APIError(
        .badRequest, code: "invalid", "only goes with as: a merge brings chosen rows back into the account itself")
    }
    if wanted.inPlace == true { return try await restoreInPlace(wanted, of: source, request, context) }
    let target = try target(of: wanted)
    if let at = wanted.at { return try await restore(wanted, of: source, at: at, request, context) }
    let newest = wanted.latest == true || wanted.snapshot == nil || wanted.snapshot == "latest"
    let found = try find(
      newest ? nil : try snapshotID(wanted.snapshot), in: await archives(of: source, request, context))
    if let there = holder(of: found) {
      let body = RestoreBody(
        account: source, snapshot: found.id, as: wanted.as, dryRun: wanted.dryRun, only: wanted.only)
      return try await pass("/v1/restores", body, to: there, found.node, request, context)
    }
    return try accepted(
      node.startRestore(
        RestoreRequest(
          account: source, snapshot: try snapshotID(found.id), target: target, dryRun: wanted.dryRun ?? false,
          only: try selection(wanted.only))))
  }

  func addJobRoutes(to router: RouterGroup<APIContext>) {
    router.get("jobs") { request, context in
      try access.administrator(.read, request, context)
      return try AdminJSON.response(JobsReply(jobs: node.allJobs().map { JobReply($0.withoutData) }))
    }
    let anyNode = router.group().add(middleware: JobForwarding(router: anywhere, access: access))
    anyNode.get("jobs/:job") { request, context in
      let id = try job(request, context).id
      if let wait = try Self.wait(request) { await node.waitForJob(id, atMost: wait) }
      return try AdminJSON.response(JobReply(job(request, context)))
    }
    anyNode.delete("jobs/:job") { request, context in try await cancelJob(request, context) }
    anyNode.post("jobs/:job/cancel") { request, context in try await cancelJob(request, context) }
    anyNode.get("jobs/:job/events") { request, context in
      let id = try job(request, context).id
      return Response(
        status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"],
        body: ResponseBody { writer in
          for await status in node.jobEvents(id) {
            var event = Array("data: ".utf8)
            event += try AdminJSON.bytes(JobReply(status))
            event += Array("\n\n".utf8)
            try await writer.write(ByteBuffer(bytes: event))
          }
          try await writer.finish(nil)
        })
    }
  }

  /// `wait_ms`: how long the reply may wait for the job's end.
  private static func wait(_ request: Request) throws(APIError) -> Duration? {
    guard let text = request.uri.queryParameters["wait_ms"] else { return nil }
    guard let wait = Int(text), (0...10_000).contains(wait) else {
      throw APIError(.badRequest, code: "invalid", "wait_ms is a number from 0 to 10000")
    }
    return .milliseconds(wait)
  }

  /// A job that the token may look at.
  func job(_ request: Request, _ context: APIContext) throws -> JobStatus {
    let principal = try access.principal(request, context)
    let missing = APIError(.notFound, code: "notFound", "there is no such job, or the token does not open it")
    guard let id = JobID(context.parameters.get("job") ?? ""), let job = node.job(id) else { throw missing }
    if principal.allows(.read) { return principal.allows(.backup) ? job : job.withoutData }
    guard case .account(let account, _) = principal, (try? node.account(named: job.account))?.id == account else {
      throw missing
    }
    return job
  }

  /// The name of an account whose archive may be looked at; the account itself may be deleted already.
  func archived(
    _ request: Request, _ context: APIContext, _ scope: AdminScope = .read
  ) throws(APIError) -> String {
    let principal = try access.principal(request, context)
    if principal.allows(scope) || principal.allows(.backup) { return context.parameters.get("account") ?? "" }
    return try access.account(scope, ownerToo: true, request, context).name
  }

  func accepted(_ id: JobID) throws -> Response {
    guard let job = node.job(id) else {
      throw APIError(.internalServerError, code: "internal", "the job is gone")
    }
    var response = try AdminJSON.response(JobReply(job), status: .accepted)
    response.headers[.location] = "/v1/jobs/\(id)"
    return response
  }

  static let noSnapshot = APIError(.notFound, code: "notFound", "there is no such snapshot in the archive")

  func snapshotID(_ text: String?) throws(APIError) -> SnapshotID {
    guard let id = text.flatMap(SnapshotID.init(_:)) else { throw Self.noSnapshot }
    return id
  }
}
