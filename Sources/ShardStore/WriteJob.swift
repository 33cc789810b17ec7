// A request that waits for the writer.

package import Base
import SQLite

enum WriteJob: Sendable {
  /// Joins a batch. `body` may run more than once; it keeps its result for `reply`, which comes once.
  case member(body: @Sendable (Connection) throws -> Void, reply: @Sendable (Result<Position, any Error>) -> Void)
  /// A session that wants the turn for its transaction; the ticket names the wish while it waits.
  case session(ticket: UInt64, grant: @Sendable (StoreError?) -> Void)
}

/// A result on its way from the writer's thread to the caller.
final class ResultBox<T: Sendable>: @unchecked Sendable {
  // Invariant: written by the thread that has the writer's turn, read after that thread has handed the reply over.
  var value: T?
  var replayed = false
}

/// What a caller of the store gets.
package struct Answer<T: Sendable>: Sendable {
  package let value: T
  /// Everything the answer depends on is durable up to here.
  package let position: Position
  /// The effect is an earlier request's with the same idempotency key.
  package let replayed: Bool
}

/// Names a request, so that a repetition has no second effect. At most 255 bytes.
package struct Idempotency: Sendable {
  package let key: String
  /// Of the request: the same key with another request is refused.
  package let requestHash: [UInt8]

  package init(key: String, requestHash: [UInt8]) {
    self.key = key
    self.requestHash = requestHash
  }
}
