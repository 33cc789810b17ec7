// Positions that callers hear never go back, and the same position has the same checksum.

import Base

enum PositionChecker {
  static func check(_ position: Position, after last: Position) throws(Violation) {
    let goesBack = position.index < last.index || position.epoch < last.epoch
    let differs = position.index == last.index && position != last
    if goesBack || differs {
      throw Violation(checker: "positions", message: "position \(last) was followed by \(position)")
    }
  }
}
