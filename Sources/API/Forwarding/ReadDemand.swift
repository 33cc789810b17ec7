// How fresh an answer has to be when it need not come from the node that leads: `Komora-At-Least: <epoch>.<index>`,
// `Komora-Staleness: 5s`.

import Formats
import HTTPTypes
import Hummingbird
import Node

struct ReadDemand: Sendable, Equatable {
  /// Everything up to this position is to be seen.
  var atLeast: LogPlace?
  /// Everything that was acknowledged longer ago than this is to be seen.
  var staleness: Duration?

  static let stalenessMax = Duration.seconds(86_400)

  /// Nil when the fields ask for nothing; throws for what cannot be read.
  init?(_ fields: HTTPFields) throws(APIError) {
    if let text = fields[.komoraAtLeast] {
      guard let place = Self.place(text) else {
        throw APIError(
          .badRequest, code: "invalid", "Komora-At-Least is a position as Komora-Position gives it: <epoch>.<index>")
      }
      atLeast = place
    }
    if let text = fields[.komoraStaleness] {
      guard let duration = Quantity.duration(text), duration <= Self.stalenessMax else {
        throw APIError(.badRequest, code: "invalid", "Komora-Staleness is a time with its unit, such as 500ms or 5s")
      }
      staleness = duration
    }
    if atLeast == nil, staleness == nil { return nil }
  }

  static func place(_ text: String) -> LogPlace? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }),
      let epoch = UInt64(parts[0]), let index = UInt64(parts[1])
    else { return nil }
    return LogPlace(epoch: epoch, index: index)
  }

  /// Whether a replica that has everything acknowledged before `asOf` is fresh enough. A position was waited for.
  func isMet(asOf: ContinuousClock.Instant?) -> Bool {
    guard let staleness else { return true }
    guard let asOf else { return false }
    return ContinuousClock.now - asOf <= staleness
  }
}
