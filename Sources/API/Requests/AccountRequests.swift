// SQL over the fabric, for programs: the same credentials, rights, sandbox and limits as over HTTP, in fewer bytes.
//
// A node answers only for accounts that it leads, and says who leads the others: the program asks there. In a graceful
// shutdown lines are no longer taken, and those that are open end when their programs go or the fabric does.

import Base
import Fabric
import Formats
import Hummingbird
import Logging
import Node
import OpenSSL
import SQLite
import ServiceLifecycle
import ShardStore

struct AccountRequests: Service {
  let node: NodeService
  let access: Access
  let registry: StreamRegistry
  let clock: any StoreClock
  private let limits: SQLLimits

  init(node: NodeService, access: Access, registry: StreamRegistry, clock: any StoreClock) {
    self.node = node
    self.access = access
    self.registry = registry
    self.clock = clock
    limits = SQLLimits(node.configuration)
  }

  func run() async throws {
    node.takeAccountRequests { channel in await AccountLine(channel, requests: self).run() }
    try? await gracefulShutdown()
    node.stopTakingAccountRequests()
  }

  /// Nil for a token that holds nothing.
  func principal(_ token: String) -> Principal? { node.authenticate(bearer: token) }

  /// The whole message of a reply. The token is looked at for each request: a revocation holds from the next one on.
  func reply(to request: AccountRequest, token: String, until deadline: ContinuousClock.Instant) async -> [UInt8] {
    do {
      guard let principal = principal(token) else {
        throw HranaError("UNAUTHORIZED", "the token does not hold, or no longer")
      }
      let record: AccountRecord
      let credential: String
      do throws(APIError) { (record, credential) = try access.opened(request.account, by: principal) } catch {
        throw HranaError("NOT_FOUND", error.detail)
      }
      guard !request.statements.isEmpty else { throw HranaError("SQL_NO_STATEMENT", "the request has no statement") }
      return try await routed(request, record, credential, deadline)
    } catch {
      let shown = HranaError(thrown: error, writing: true)
      return AccountResponse.failed(id: request.id, AccountFailure(shown)).encode()
    }
  }

  /// A lone statement that most likely writes, of an account that is led and open here: begun at once, on the caller's
  /// thread, which must not wait. `done` gets the message of the reply, or nil when nothing was applied and `reply(to:)`
  /// is to find out what becomes of the request. False when that is so from the start.
  func beginWrite(_ request: AccountRequest, token: String, _ done: @escaping @Sendable ([UInt8]?) -> Void) -> Bool {
    guard request.statements.count == 1, request.idempotencyKey.isEmpty, ReadDemand(request) == nil,
      let principal = principal(token), let (record, _) = try? access.opened(request.account, by: principal),
      case .here = node.route(of: record)
    else { return false }
    let call = SQLCall(request.statements[0])
    guard call.likelyPlace == .writer else { return false }
    let runner = SQLRunner(
      place: .writer, form: .account, rowsMax: limits.resultRows, bytesMax: limits.resultBytes,
      deadline: clock.monotonicNanoseconds() + limits.timeout)
    let id = request.id
    return node.engine.writeIfOpen(record.id) { connection in
      AccountResponse.encode([AccountResult(try runner.run(call, on: connection))])
    } _: { result in
      switch result {
      case .success(let answer):
        let position = LogPlace(epoch: answer.position.epoch, index: answer.position.index)
        done(AccountResponse.done(id: id, position: position, results: answer.value))
      case .failure(let error):
        let shown = HranaError(thrown: error, writing: true)
        let isUndone = error is SQLRunner.Misplaced || shown.isMoved || shown.code == "NOT_APPLIED_CLOSED"
        done(isUndone ? nil : AccountResponse.failed(id: id, AccountFailure(shown)).encode())
      }
    }
  }

  private func routed(
    _ request: AccountRequest, _ record: AccountRecord, _ credential: String, _ deadline: ContinuousClock.Instant
  ) async throws -> [UInt8] {
    let routing = node.routing
    let demand = ReadDemand(request)
    var pause = Duration.milliseconds(2)
    while ContinuousClock.now < deadline {
      switch node.route(of: record) {
      case .here(let epoch):
        if let place = demand?.atLeast, let here = node.engine.publishedIfOpen(record.id),
          here.epoch < place.epoch || here.index < place.index
        {
          throw HranaError("POSITION", "the account is at \(here), before the position that was asked for")
        }
        let serving = Serving(account: record.id, role: .primary(epoch), routing: routing)
        if let reply = try await run(request, credential, serving) { return reply }
      case .node(let id):
        if let demand, try await isFresh(record.id, demand, until: deadline) {
          let serving = Serving(account: record.id, role: .standby(demand), routing: routing)
          if let reply = try await run(request, credential, serving) { return reply }
        }
        guard let address = node.fabricAddress(id) else { break }
        return AccountResponse.elsewhere(id: request.id, node: id, address: address).encode()
      case .nobody:
        _ = await routing.waitForRoute(record.id, until: deadline)
        continue
      }
      try await Task.sleep(for: pause)
      pause = min(pause * 2, .milliseconds(100))
    }
    throw HranaError("NOT_APPLIED_UNAVAILABLE", "nobody led the account in time; nothing was applied")
  }

  private func isFresh(
    _ account: AccountID, _ demand: ReadDemand, until deadline: ContinuousClock.Instant
  ) async throws -> Bool {
    let routing = node.routing
    guard routing.hasReplica(account), demand.isMet(asOf: routing.freshAsOf(account)) else { return false }
    guard let place = demand.atLeast else { return true }
    let now = ContinuousClock.now
    return await routing.waitUntilApplied(account, place, until: now + (deadline - now) / 2)
  }

  /// Nil when this node turned out not to lead the account, and nothing was done.
  private func run(_ request: AccountRequest, _ credential: String, _ serving: Serving) async throws -> [UInt8]? {
    var executor = HranaExecutor(
      engine: node.engine, registry: registry, clock: clock, limits: limits,
      stream: HranaStream(account: serving.account, credential: credential), serving: serving)
    executor.form = .account
    do throws(HranaError) {
      let results = try await run(request, &executor)
      guard executor.stream.session == nil else {
        await executor.closeSession()
        throw HranaError(
          "NOT_APPLIED_SESSION", "a transaction ends with its request here: send its statements together, or use Hrana")
      }
      let position = executor.position.map { LogPlace(epoch: $0.epoch, index: $0.index) } ?? .start
      return AccountResponse.done(id: request.id, position: position, results: results)
    } catch {
      await executor.closeSession()
      guard error.isMoved, !executor.hasWritten else { throw error }
      return nil
    }
  }

  private func run(_ request: AccountRequest, _ executor: inout HranaExecutor) async throws(HranaError) -> [UInt8] {
    let calls = request.statements.map(SQLCall.init)
    var idempotency: Idempotency?
    if !request.idempotencyKey.isEmpty {
      idempotency = Idempotency(key: request.idempotencyKey, requestHash: request.contentHash)
    }
    if idempotency == nil, calls.count == 1 {
      return AccountResponse.encode([AccountResult(try await executor.execute(calls[0], bytesMax: limits.resultBytes))])
    }
    let steps = calls.map { BatchRunner.Step(condition: nil, call: $0) }
    if idempotency == nil, calls.allSatisfy({ $0.likelyPlace == .reader }) {
      // One pinned read; what turns out to be more moves up as a whole.
      return try Self.encoded(try await executor.run(steps, bytesMax: limits.resultBytes))
    }
    return try await executor.once(steps, idempotency, Self.encoded)
  }

  /// The first error is the request's.
  @Sendable private static func encoded(_ outcomes: [StepOutcome]) throws(HranaError) -> [UInt8] {
    var results: [AccountResult] = []
    for outcome in outcomes {
      switch outcome {
      case .result(let result): results.append(AccountResult(result))
      case .error(let error): throw error
      case .skipped: results.append(AccountResult())
      }
    }
    return AccountResponse.encode(results)
  }
}

extension SQLCall {
  fileprivate init(_ statement: AccountStatement) {
    self.init(sql: statement.sql, arguments: statement.arguments.map(\.sqlite))
  }
}

extension AccountFailure {
  init(_ error: HranaError) {
    let retryable: Set<String> = [
      "NOT_APPLIED", "NOT_APPLIED_BUSY", "NOT_APPLIED_SNAPSHOT", "NOT_APPLIED_CLOSED", "NOT_APPLIED_MOVED",
      "NOT_APPLIED_UNAVAILABLE", "BUSY", "SNAPSHOT", "CLOSED", "MOVED",
    ]
    self.init(
      isUnknown: error.code.hasPrefix("UNKNOWN"), isRetryable: retryable.contains(error.code), code: error.code,
      message: error.message)
  }
}

extension ReadDemand {
  /// Nil when the newest is asked for.
  init?(_ request: AccountRequest) {
    atLeast = request.atLeast == .start ? nil : request.atLeast
    staleness = request.stalenessMilliseconds == 0 ? nil : .milliseconds(Int(request.stalenessMilliseconds))
    if atLeast == nil, staleness == nil { return nil }
  }
}

extension AccountRequest {
  /// What a key stands for: the same whatever the request is called and however long it may wait.
  fileprivate var contentHash: [UInt8] {
    var same = self
    (same.id, same.deadlineMilliseconds) = (0, 0)
    return SHA256.hash((try? AccountQuestion.request(same).encode()) ?? [])
  }
}
