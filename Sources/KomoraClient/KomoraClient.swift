// Account requests over the fabric, for programs: many at once on one connection to each node, sent to the node that
// leads the account, wherever that is by now.
//
// What certainly was not applied is sent again until the deadline. What was lost is sent again only when it reads, or has
// an idempotency key; else the program hears that its effect is unknown.

import Base
import Fabric
public import Formats
import OpenSSL
import Threads
import UVLoop

public final class KomoraClient: Sendable {
  private let loop: UVLoop
  private let core: ClientCore
  private let deadline: Duration
  /// Of the client's own thread. A task that prefers it is resumed where its reply arrives, without waking another
  /// thread; it must not block or compute for long, which would hold up every request of the client. Not after `close`.
  public let taskExecutor: any TaskExecutor

  private init(_ loop: UVLoop, _ core: ClientCore, deadline: Duration) {
    self.loop = loop
    taskExecutor = UVTaskExecutor(loop)
    self.core = core
    self.deadline = deadline
  }

  /// Returns when a node has taken certificate and token. Close it at the end.
  public static func connect(_ configuration: KomoraConfiguration) async throws(KomoraError) -> KomoraClient {
    let seeds = try configuration.nodes.map { text throws(KomoraError) in
      guard let address = SocketAddress(text) else {
        throw KomoraError(.invalid, "\(text) is no address of a fabric: give it as 10.0.0.1:7402")
      }
      return address
    }
    guard !seeds.isEmpty else { throw KomoraError(.invalid, "no node is named") }
    let loop = UVLoop(name: "komora-client")
    let core: ClientCore
    do {
      core = try ClientCore(configuration, seeds, on: loop)
    } catch {
      stop(loop)
      throw KomoraError(.invalid, "certificate, key or authority cannot be used: \(error)")
    }
    let client = KomoraClient(loop, core, deadline: configuration.deadline)
    do {
      try await core.start(until: .now + configuration.deadline)
      return client
    } catch {
      await client.close()
      throw error
    }
  }

  /// One statement.
  public func execute(
    _ account: String, _ sql: String, _ arguments: [KomoraValue] = [], options: KomoraOptions = KomoraOptions()
  ) async throws(KomoraError) -> (result: KomoraResult, position: KomoraPosition) {
    let answer = try await batch(account, [KomoraStatement(sql, arguments)], options: options)
    guard let result = answer.results.first else { throw KomoraError(.refused, "the reply has no result") }
    return (result, answer.position)
  }

  /// Statements that run as one transaction: all of them, or none when one fails.
  public func batch(
    _ account: String, _ statements: [KomoraStatement], options: KomoraOptions = KomoraOptions()
  ) async throws(KomoraError) -> KomoraAnswer {
    let end = ContinuousClock.now + (options.deadline ?? deadline)
    var attempt = ClientAttempt(core: core, request: AccountRequest(account, statements, options), deadline: end)
    let (results, place) = try await attempt.run()
    var answer = KomoraAnswer(results: [], position: KomoraPosition(epoch: place.epoch, index: place.index))
    do throws(FormatError) {
      for result in results {
        answer.results.append(
          KomoraResult(
            columns: result.columns, rows: try result.rows(), affectedRows: result.affectedRows,
            lastInsertRowID: result.lastInsertRowID))
      }
    } catch {
      throw KomoraError(.unknown, "the reply cannot be read: \(error)")
    }
    return answer
  }

  /// Requests under way fail. Nothing can be asked afterwards.
  public func close() async {
    await core.close()
    await withCheckedContinuation { continuation in
      let loop = loop
      _ = Threads.Thread(name: "stop") {
        loop.stop()
        continuation.resume()
      }
    }
  }

  private static func stop(_ loop: UVLoop) { _ = Threads.Thread(name: "stop") { loop.stop() } }
}

extension AccountRequest {
  init(_ account: String, _ statements: [KomoraStatement], _ options: KomoraOptions) {
    self.init(
      id: 0, deadlineMilliseconds: 0, account: account, idempotencyKey: options.idempotencyKey ?? "",
      atLeast: options.atLeast.map { LogPlace(epoch: $0.epoch, index: $0.index) } ?? .start,
      stalenessMilliseconds: options.staleness.map { UInt32(clamping: max($0.milliseconds, 1)) } ?? 0,
      statements: statements.map { AccountStatement($0.sql, $0.arguments) })
  }

  /// A second time does no harm.
  var isRepeatable: Bool { !idempotencyKey.isEmpty || statements.allSatisfy(\.reads) }
}

extension AccountStatement {
  /// What begins so changes nothing.
  fileprivate var reads: Bool {
    let word = sql.prefix(64).drop { $0.isWhitespace }.prefix { $0.isLetter }.uppercased()
    return ["SELECT", "VALUES", "EXPLAIN"].contains(word)
  }
}

extension Duration {
  var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
