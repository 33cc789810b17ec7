// Runs the steps of a batch one after the other on one connection, with their conditions.
//
// A batch of the shape BEGIN, statements, COMMIT, with an optional ROLLBACK when something failed, is a transaction
// that needs no connection of its own: the engine runs it as one member of the writer's batch, inside a savepoint. Its
// BEGIN, COMMIT and ROLLBACK are then played by that savepoint.

import SQLite

struct BatchRunner: Sendable {
  struct Step: Sendable {
    var condition: BatchCondition?
    var call: SQLCall
  }

  /// The transaction rolled itself back: thrown so that the engine undoes it, with what the client is told.
  struct RolledBack: Error { var outcomes: [StepOutcome] }

  var steps: [Step]
  var runner: SQLRunner

  /// Runs the steps behind `done` as they are. On a session it stops before a step that needs the writer, so that those
  /// before it are not run twice.
  func run(after done: [StepOutcome], on connection: Connection) throws -> [StepOutcome] {
    var outcomes = done
    var runner = runner
    for step in steps[done.count...] {
      // The transaction around a read is the engine's, not the client's.
      let isAutocommit = runner.place < .session || connection.isAutocommit
      if let condition = step.condition, !condition.holds(after: outcomes, isAutocommit: isAutocommit) {
        outcomes.append(.skipped)
        continue
      }
      do {
        outcomes.append(try Self.outcome(of: step.call, &runner, connection))
      } catch let misplaced as SQLRunner.Misplaced {
        guard runner.place == .session, outcomes.count > done.count else { throw misplaced }
        return outcomes
      }
    }
    return outcomes
  }

  /// BEGIN first, one COMMIT, and behind it nothing but ROLLBACKs.
  static func isTransaction(_ steps: [Step]) -> Bool {
    guard steps.count >= 2, steps[0].call.opensTransaction, steps[0].condition == nil,
      let commit = steps.firstIndex(where: { $0.call.commits })
    else { return false }
    return steps[1..<commit].allSatisfy { $0.call.likelyPlace != .session }
      && steps[(commit + 1)...].allSatisfy { $0.call.rollsBack }
  }

  /// Runs a batch of that shape inside the engine's savepoint.
  func runAsMember(on connection: Connection) throws -> [StepOutcome] {
    var outcomes: [StepOutcome] = []
    var runner = runner
    var isOpen = false
    var undone = false
    for step in steps {
      if let condition = step.condition, !condition.holds(after: outcomes, isAutocommit: !isOpen) {
        outcomes.append(.skipped)
        continue
      }
      if step.call.opensTransaction {
        isOpen = true
        outcomes.append(.result(StatementResult()))
      } else if step.call.commits {
        guard isOpen, !connection.hasDeferredViolations else { throw SQLRunner.Misplaced(place: .session) }
        isOpen = false
        outcomes.append(.result(StatementResult()))
      } else if step.call.rollsBack {
        guard isOpen else { throw SQLRunner.Misplaced(place: .session) }
        (isOpen, undone) = (false, true)
        outcomes.append(.result(StatementResult()))
      } else {
        outcomes.append(try Self.outcome(of: step.call, &runner, connection))
        // The statement ended the transaction itself: on a connection of its own that has its ordinary meaning.
        if connection.isAutocommit { throw SQLRunner.Misplaced(place: .session) }
      }
    }
    // Left open, the transaction goes on with the next request.
    if isOpen { throw SQLRunner.Misplaced(place: .session) }
    if undone { throw RolledBack(outcomes: outcomes) }
    return outcomes
  }

  /// An error of the statement is an outcome; anything else ends the batch. What a result takes is gone for the next.
  private static func outcome(
    of call: SQLCall, _ runner: inout SQLRunner, _ connection: Connection
  ) throws -> StepOutcome {
    do {
      let result = try runner.run(call, on: connection)
      let outcome = StepOutcome.result(result)
      runner.bytesMax -= outcome.bytes
      return outcome
    } catch let error as SQLiteError {
      if error.endsTransaction { throw error }
      return .error(HranaError(error))
    } catch let error as HranaError {
      if error.code == HranaError.tooLarge { throw error }
      return .error(error)
    }
  }
}
