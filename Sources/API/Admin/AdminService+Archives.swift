// Archives of one account on the nodes of a cluster: a snapshot lies where it was taken, by whoever led the account then.
//
// So every node is asked for its own list, with the caller's credential, and what is to be done with a snapshot is passed
// on to the node that has it. A node that does not answer, or answers with no list, is named: what it holds may be newer
// than what is shown.

import Base
import Formats
import HTTPTypes
import Hummingbird
import NIOCore
import Node
import Threads

extension AdminService {
  static let othersWait = Duration.seconds(5)
  /// A snapshot takes some 300 bytes of a list.
  static let listBytesMax = 4 << 20

  private enum OthersArchives: Sendable {
    case listed([SnapshotReply])
    case silent
    case refused(String)
  }

  /// What all nodes have of the account; of a request that came from another node only what this one has.
  func archives(of name: String, _ request: Request, _ context: APIContext) async throws -> SnapshotsReply {
    let own = node.configuration.name
    var reply = SnapshotsReply(snapshots: try await node.snapshots(account: name).map { SnapshotReply($0, on: own) })
    guard !node.standsAlone, context.forwarded == nil else { return reply }
    let wanted = asked(.get, "/v1/accounts/\(name)/snapshots", request, context, ByteBuffer())
    let deadline = min(context.deadline, .now + Self.othersWait)
    await withTaskGroup(of: (NodeID, OthersArchives).self) { group in
      for other in node.otherNodes {
        group.addTask { (other, await archives(of: other, wanted, until: deadline)) }
      }
      for await (other, answer) in group {
        let name = node.nodeName(other) ?? "\(other)"
        switch answer {
        case .listed(let snapshots): reply.snapshots += snapshots
        case .silent: reply.silent = (reply.silent ?? []) + [name]
        case .refused(let detail): reply.refused = (reply.refused ?? []) + [RefusalReply(node: name, detail: detail)]
        }
      }
    }
    reply.silent?.sort()
    reply.refused?.sort { $0.node < $1.node }
    reply.snapshots.sort { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
    return reply
  }

  private func archives(
    of other: NodeID, _ wanted: ShardRequest, until deadline: ContinuousClock.Instant
  ) async -> OthersArchives {
    switch await ForwardAttempt(node: node, wanted: wanted, target: other, deadline: deadline).run() {
    case .notReached, .notHere, .lost: return .silent
    case .refused(let error): return .refused(error.detail)
    case .answered(let answer):
      let collector = BodyCollector(bytesMax: Self.listBytesMax)
      do {
        try await answer.body.write(collector)
      } catch is BodyCollector.TooLarge {
        return .refused("its list is longer than \(Self.listBytesMax >> 20) MiB: ask that node itself")
      } catch {
        return .silent
      }
      return Self.archives(in: answer.status, collector.bytes.with { $0 })
    }
  }

  private static func archives(in status: HTTPResponse.Status, _ body: ByteBuffer) -> OthersArchives {
    guard status == .ok else {
      let problem = try? AdminJSON.decode(ProblemReply.self, from: body)
      return .refused("\(problem?.detail ?? status.reasonPhrase) (\(status.code))")
    }
    guard let list = try? AdminJSON.decode(SnapshotsReply.self, from: body) else {
      return .refused("its list cannot be read: it runs another release")
    }
    return .listed(list.snapshots)
  }

  /// The one with this id, else the newest; where it is in several archives, this node's.
  func find(_ id: SnapshotID?, in archives: SnapshotsReply) throws(APIError) -> SnapshotReply {
    let unknown = Self.unknown(archives)
    guard let id else {
      if let unknown {
        throw APIError(
          .serviceUnavailable, code: "unavailable",
          "\(unknown.what), and may have a newer snapshot: choose one by its id (`komora snapshot list`), or "
            + unknown.remedy, applied: .no)
      }
      guard let newest = archives.snapshots.last else { throw Self.noSnapshot }
      return newest
    }
    let found = archives.snapshots.filter { $0.id == "\(id)" }
    if let one = found.first(where: { $0.node == node.configuration.name }) ?? found.first { return one }
    guard let unknown else { throw Self.noSnapshot }
    throw APIError(
      .serviceUnavailable, code: "unavailable",
      "the snapshot is in no archive that was listed; \(unknown.what): \(unknown.remedy)", applied: .no)
  }

  /// Which archives are not shown, why, and what helps; nil when all are.
  private static func unknown(_ archives: SnapshotsReply) -> (what: String, remedy: String)? {
    let silent = archives.silent ?? []
    let refused = archives.refused ?? []
    let what =
      silent.map { "\($0) does not answer" } + refused.map { "\($0.node) does not list its archive (\($0.detail))" }
    guard !what.isEmpty else { return nil }
    return (what.joined(separator: ", "), silent.isEmpty ? "put that right first" : "start that node first")
  }

  /// Nil when this node has it.
  func holder(of snapshot: SnapshotReply) -> NodeID? {
    snapshot.node == node.configuration.name ? nil : node.nodeID(named: snapshot.node)
  }

  /// Has `path` answered by the node whose archive is needed.
  func pass(
    _ path: String, _ body: some Encodable, to id: NodeID, _ name: String, _ request: Request, _ context: APIContext
  ) async throws -> Response {
    let wanted = asked(.post, path, request, context, ByteBuffer(bytes: try AdminJSON.bytes(body)))
    let outcome = await ForwardAttempt(node: node, wanted: wanted, target: id, deadline: context.deadline).run()
    switch outcome {
    case .answered(let response): return response
    case .refused(let error): throw error
    case .notReached, .notHere:
      throw APIError(
        .serviceUnavailable, code: "unavailable",
        "\(name), whose archive has the snapshot, does not answer: start it, or choose another snapshot", applied: .no)
    case .lost:
      throw APIError(
        .serviceUnavailable, code: "unknown",
        "\(name), whose archive has the snapshot, was lost while it was asked: look at `komora account list` before you "
          + "try again", applied: .unknown)
    }
  }

  /// A request of this node's own making in the caller's name.
  func asked(
    _ method: HTTPRequest.Method, _ path: String, _ request: Request, _ context: APIContext, _ body: ByteBuffer
  ) -> ShardRequest {
    var head = HTTPRequest(method: method, scheme: "https", authority: request.head.authority, path: path)
    head.headerFields[.authorization] = request.headers[.authorization]
    if method == .post {
      head.headerFields[.contentType] = "application/json"
      head.headerFields[.idempotencyKey] = request.headers[.idempotencyKey]
    }
    return ShardRequest(
      surface: .api, request: Request(head: head, body: RequestBody(buffer: body)), context: context,
      account: AccountID(bits: 0), body: body, demand: nil, isRepeatable: { false })
  }
}
