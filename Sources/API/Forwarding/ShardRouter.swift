// Brings a request to the node that leads its account: this one, or another one over the fabric; holds it while nobody
// leads.
//
// Whatever certainly was not begun anywhere is tried again, within the request's deadline, wherever the account is by
// then. What was lost on its way is tried again only when that does no harm; else the client hears that its effect is
// unknown. A request goes over at most two nodes, so that two which believe of each other that they lead never pass it
// to and fro.

import Base
import Formats
import HTTPTypes
import Hummingbird
import NIOCore
import Node
import ShardStore

struct ShardRouter: Sendable {
  typealias Local = (Request, APIContext) async throws -> Response

  let node: NodeService
  private static let firstPause = Duration.milliseconds(5)
  private static let longestPause = Duration.milliseconds(100)

  /// `local` answers here; its context says by which right.
  func answer(_ wanted: ShardRequest, of account: AccountRecord, _ local: Local) async throws -> Response {
    let deadline = wanted.context.deadline
    if let demand = wanted.demand, account.isActive, !node.leads(account) {
      if let response = try await answerAsStandby(wanted, demand, local) { return response }
    }
    var pause = Self.firstPause
    while true {
      switch node.route(of: account) {
      case .here(let epoch):
        if let response = try await answerAsPrimary(wanted, epoch, local) { return response }
      case .node(let id):
        if let declined = wanted.context.forwarded, declined.request.hops >= 2 { throw decline(declined) }
        if let response = try await pass(wanted, to: id, until: deadline) { return response }
      case .nobody:
        guard await hold(wanted, until: deadline) else {
          throw RoutingFailure(
            .notApplied, "nobody leads the account at this moment; nothing was applied: try again in a moment")
        }
        continue
      }
      guard ContinuousClock.now + pause < deadline else {
        throw RoutingFailure(
          .notApplied, "no node could answer for the account in time; nothing was applied: try again in a moment")
      }
      try await Task.sleep(for: pause)
      pause = min(pause * 2, Self.longestPause)
    }
  }

  // MARK: here

  /// Nil when this node turned out not to lead the account, and nothing was done.
  private func answerAsPrimary(_ wanted: ShardRequest, _ epoch: Epoch, _ local: Local) async throws -> Response? {
    let account = wanted.account
    if let place = wanted.demand?.atLeast, let here = node.engine.publishedIfOpen(account),
      here.epoch < place.epoch || here.index < place.index
    {
      throw APIError(
        .preconditionFailed, code: "position",
        "the account is at \(here), before the position that Komora-At-Least names: it is of another account")
    }
    do {
      return try await answerHere(
        wanted, Serving(account: account, role: .primary(epoch), routing: node.routing), local)
    } catch  where ShardMoved.means(error) {
      guard wanted.body != nil else {
        throw RoutingFailure(.notApplied, "the account has moved to another node; nothing was applied: send it again")
      }
      return nil
    }
  }

  /// Nil when the replica here is not fresh enough, or the request is more than a read.
  private func answerAsStandby(
    _ wanted: ShardRequest, _ demand: ReadDemand, _ local: Local
  ) async throws -> Response? {
    let (routing, account) = (node.routing, wanted.account)
    guard routing.hasReplica(account), demand.isMet(asOf: routing.freshAsOf(account)) else { return nil }
    if let place = demand.atLeast {
      // Half of the time is kept for the way to the primary.
      let now = ContinuousClock.now
      let end = now + (wanted.context.deadline - now) / 2
      guard await routing.waitUntilApplied(account, place, until: end) else { return nil }
    }
    do {
      let response = try await answerHere(
        wanted, Serving(account: account, role: .standby(demand), routing: routing), local)
      node.metrics.counter("komora_standby_reads_total").increment()
      return response
    } catch  where ShardMoved.means(error) {
      return nil
    }
  }

  private func answerHere(_ wanted: ShardRequest, _ serving: Serving, _ local: Local) async throws -> Response {
    var context = wanted.context
    context.serving = serving
    do {
      var response = try await local(wanted.request, context)
      for field in marks(serving) where response.headers[field.name] == nil { response.headers.append(field) }
      return response
    } catch  where !ShardMoved.means(error) {
      throw ServedFailure(underlying: error, fields: marks(serving))
    }
  }

  /// Who answered, and the newest position that is known here.
  private func marks(_ serving: Serving) -> HTTPFields {
    var fields: HTTPFields = [.komoraNode: node.configuration.name]
    if let position = node.engine.publishedIfOpen(serving.account) { fields[.komoraPosition] = "\(position)" }
    return fields
  }

  // MARK: waiting

  private func hold(_ wanted: ShardRequest, until deadline: ContinuousClock.Instant) async -> Bool {
    let route = await node.routing.waitForRoute(wanted.account, until: deadline)
    let isLed = route != .nobody
    node.metrics.counter("komora_held_requests_total", [("outcome", isLed ? "led" : "deadline")]).increment()
    return isLed
  }

  /// It came by way of two nodes, and none of them leads.
  private func decline(_ call: ForwardedCall) -> RoutingFailure {
    call.decline(call.request.epoch)
    return RoutingFailure(
      .notApplied, "the account is moving between nodes; nothing was applied: try again in a moment")
  }

  // MARK: there

  /// Nil when nothing was done there and the request may be sent again.
  private func pass(
    _ wanted: ShardRequest, to id: NodeID, until deadline: ContinuousClock.Instant
  ) async throws -> Response? {
    let began = ContinuousClock.now
    let attempt = ForwardAttempt(node: node, wanted: wanted, target: id, deadline: deadline)
    let outcome = await attempt.run()
    note(outcome)
    switch outcome {
    case .answered(let response):
      node.metrics.histogram("komora_forward_seconds").observe(ContinuousClock.now - began)
      return response
    case .notReached, .notHere:
      guard !attempt.hasTakenBody else {
        throw RoutingFailure(.notApplied, "the account has moved to another node; nothing was applied: send it again")
      }
      return nil
    case .refused(let error): throw error
    case .lost(let reason):
      guard wanted.body != nil, ContinuousClock.now < deadline, wanted.isRepeatable() else {
        throw RoutingFailure(
          .unknown, "\(reason); whether the request was applied is not known: look before you send it again")
      }
      return nil
    }
  }

  private func note(_ outcome: ForwardAttempt.Outcome) {
    let name =
      switch outcome {
      case .answered: "answered"
      case .notReached: "not_reached"
      case .notHere: "not_here"
      case .refused: "refused"
      case .lost: "lost"
      }
    node.metrics.counter("komora_forwarded_requests_total", [("outcome", name)]).increment()
  }
}
