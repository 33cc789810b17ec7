// Accounts whose shard another node holds: placed there when they are made, looked up and deleted there.
//
// Rows and recordings are not passed on: who asks is told which node to ask.

import Base
import Control
import Fabric
import Formats
import OpenSSL
import ShardStore
import Threads
import UVLoop

/// What one node tells another about an account that it holds.
private struct AccountStanding: Codable {
  var epoch: UInt64
  var index: UInt64
  /// Of the chain, hexadecimal.
  var checksum: String
}

private struct AccountWish: Codable {
  var name: String
  var options: AccountOptions
  /// Nodes that are to vote, and the goal of the set.
  var voters: [String]
  var goal: UInt8
}

/// An answer, or why there is none.
private struct AccountAnswer: Codable {
  var refusal: String?
  var code: String?
  var account: String?
  var standing: AccountStanding?
}

extension NodeService {
  func isHere(_ record: AccountRecord) -> Bool { record.primary == nil || record.primary == nodeID }

  /// Where requests of the account go; for one that is deleted, where its archive is.
  package func route(of record: AccountRecord) -> ShardRoute {
    if record.state == .active { return routing.route(record.id) }
    return RecordRouting(control: control, node: nodeID).route(record.id)
  }

  /// Whether this node leads it, as far as it knows.
  package func leads(_ record: AccountRecord) -> Bool { if case .here = route(of: record) { true } else { false } }

  /// The account of that name or, when it is deleted, the one whose archive the name means.
  package func archivedOrLiving(_ name: String) -> AccountRecord? { control.view.with { $0.archived(name) } }

  /// Throws `.elsewhere`, naming the node to ask, when another node leads the account.
  package func checkHeld(_ record: AccountRecord) throws(NodeError) {
    switch route(of: record) {
    case .here: return
    case .nobody:
      throw NodeError(.unavailable, "nobody leads the account at this moment: try again in a moment")
    case .node(let id):
      guard let node = control.view.with({ $0[id]?.record }) else {
        throw NodeError(.elsewhere, "the account is held by a node that the cluster no longer knows: restore it")
      }
      throw NodeError(.elsewhere, "the account is held by \(node.name): ask \(node.url)")
    }
  }

  // MARK: asking

  func createAccount(
    name: String, _ options: AccountOptions, _ voters: VoterSet, on node: NodeRecord
  ) async throws(NodeError) -> AccountRecord {
    let wish = AccountWish(
      name: name, options: options, voters: voters.nodes.map { "\($0)" }, goal: voters.goal.rawValue)
    let answer = try await ask(node, .createAccount, ClusterJSON.encode(wish))
    guard let id = answer.account.flatMap(AccountID.init(_:)) else {
      throw NodeError(.unavailable, "the answer of \(node.name) cannot be read: look whether the account is there")
    }
    // It was made behind transactions that this view may not have seen yet.
    try await control.catchUp()
    guard let record = account(id) else {
      throw NodeError(.unavailable, "the account was made, but this node cannot see it yet: look before trying again")
    }
    return record
  }

  /// The last published position, as the node says that leads the account.
  func position(of account: AccountID, at node: NodeRecord) async -> Position? {
    guard let standing = (try? await ask(node, .account, account.bytes))?.standing,
      let bits = UInt128(standing.checksum, radix: 16)
    else { return nil }
    return Position(epoch: standing.epoch, index: standing.index, checksum: Checksum(bits: bits))
  }

  private func ask(
    _ node: NodeRecord, _ method: FabricMethod, _ question: [UInt8]
  ) async throws(NodeError) -> AccountAnswer {
    guard let cluster, let address = SocketAddress(node.fabric) else {
      throw NodeError(.unavailable, "\(node.name) cannot be reached from here")
    }
    let bytes: [UInt8]
    do throws(FabricError) {
      bytes = try await cluster.endpoint.ask(
        node.id, at: address, method: method.rawValue, question, deadline: configuration.timers.requestTimeout)
    } catch {
      throw NodeError(.unavailable, "\(node.name) does not answer (\(error.message)): ask it directly at \(node.url)")
    }
    guard let answer: AccountAnswer = ClusterJSON.decode(bytes) else {
      throw NodeError(.unavailable, "the answer of \(node.name) cannot be read: it runs another release")
    }
    if let refusal = answer.refusal {
      throw NodeError(answer.code.flatMap(NodeError.Code.init(rawValue:)) ?? .unavailable, refusal)
    }
    return answer
  }

  // MARK: answering

  func serveAccounts(_ cluster: ClusterService) {
    cluster.dispatch.set { handlers in
      handlers.answers[FabricMethod.account.rawValue] = { [weak self] question, _ in
        await self?.answer { node throws(NodeError) in
          guard question.count == 16 else { throw NodeError(.invalid, "the question cannot be read") }
          let position = try await node.ownPosition(AccountID(bytes: question))
          return AccountAnswer(
            standing: AccountStanding(
              epoch: position.epoch, index: position.index, checksum: String(position.checksum.bits, radix: 16)))
        }
      }
      handlers.answers[FabricMethod.createAccount.rawValue] = { [weak self] question, _ in
        await self?.answer { node throws(NodeError) in
          guard let wish: AccountWish = ClusterJSON.decode(question) else {
            throw NodeError(.invalid, "the request cannot be read")
          }
          let voters = try node.voters(wish.voters, goal: wish.goal)
          let record = try await node.createAccountHere(name: wish.name, wish.options, voters)
          return AccountAnswer(account: "\(record.id)")
        }
      }
    }
  }

  private func answer(
    _ body: @Sendable (NodeService) async throws(NodeError) -> AccountAnswer
  ) async -> [UInt8]? {
    do throws(NodeError) {
      return ClusterJSON.encode(try await body(self))
    } catch {
      return ClusterJSON.encode(AccountAnswer(refusal: error.message, code: error.code.rawValue))
    }
  }

  /// Published last, of an account that this node leads.
  private func ownPosition(_ account: AccountID) async throws(NodeError) -> Position {
    do {
      return try await engine.read(account) { _ in 0 }.position
    } catch {
      throw NodeError(describing: error)
    }
  }

  private func voters(_ names: [String], goal: UInt8) throws(NodeError) -> VoterSet {
    guard let goal = SurvivalGoal(rawValue: goal) else { throw NodeError(.invalid, "the request cannot be read") }
    let nodes = control.view.with(\.nodes)
    let voters = names.compactMap(NodeID.init(_:)).compactMap { id in
      nodes[id].map { Voter(node: id, region: $0.record.region) }
    }
    let set = VoterSet(goal: goal, voters: voters)
    guard set.voters.count == names.count, set.contains(nodeID) else {
      throw NodeError(.unavailable, "this node does not know all the voters yet: try again in a moment")
    }
    return set
  }
}
