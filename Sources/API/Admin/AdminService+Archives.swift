// Archives of one account on the nodes of a cluster: a snapshot lies where it was taken, by whoever led the account then.
//
// So every node is asked for its own list, with the caller's credential, and what is to be done with a snapshot is passed
// on to the node that has it. A node that does not answer is named: what it holds may be newer than what is shown.

import Base
import Formats
import HTTPTypes
import Hummingbird
import NIOCore
import Node
import Threads

extension AdminService {
  private static let othersWait = Duration.seconds(5)

  /// What all nodes have of the account; of a request that came from another node only what this one has.
  func archives(of name: String, _ request: Request, _ context: APIContext) async throws -> SnapshotsReply {
    let own = node.configuration.name
    var reply = SnapshotsReply(snapshots: try await node.snapshots(account: name).map { SnapshotReply($0, on: own) })
    guard !node.standsAlone, context.forwarded == nil else { return reply }
    let wanted = asked(.get, "/v1/accounts/\(name)/snapshots", request, context, ByteBuffer())
    let deadline = min(context.deadline, .now + Self.othersWait)
    await withTaskGroup(of: (NodeID, SnapshotsReply?).self) { group in
      for other in node.otherNodes {
        group.addTask {
          let attempt = ForwardAttempt(node: node, wanted: wanted, target: other, deadline: deadline)
          guard case .answered(let answer) = await attempt.run(), answer.status == .ok else { return (other, nil) }
          let collector = BodyCollector()
          guard (try? await answer.body.write(collector)) != nil else { return (other, nil) }
          return (other, try? AdminJSON.decode(SnapshotsReply.self, from: collector.bytes.with { $0 }))
        }
      }
      for await (other, answer) in group {
        guard let answer else {
          reply.silent = (reply.silent ?? []) + [node.nodeName(other) ?? "\(other)"]
          continue
        }
        reply.snapshots += answer.snapshots
      }
    }
    reply.silent?.sort()
    reply.snapshots.sort { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
    return reply
  }

  /// The one with this id, else the newest; where it is in several archives, this node's.
  func find(_ id: SnapshotID?, in archives: SnapshotsReply) throws(APIError) -> SnapshotReply {
    let silent = archives.silent?.joined(separator: ", ")
    guard let id else {
      if let silent {
        throw APIError(
          .serviceUnavailable, code: "unavailable",
          "\(silent) does not answer, and its archive may have a newer snapshot: choose one by its id (`komora snapshot "
            + "list`), or start that node first", applied: .no)
      }
      guard let newest = archives.snapshots.last else { throw Self.noSnapshot }
      return newest
    }
    let found = archives.snapshots.filter { $0.id == "\(id)" }
    if let one = found.first(where: { $0.node == node.configuration.name }) ?? found.first { return one }
    guard let silent else { throw Self.noSnapshot }
    throw APIError(
      .serviceUnavailable, code: "unavailable",
      "the snapshot is in no archive that answers; \(silent) does not: start that node first", applied: .no)
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
  private func asked(
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
