// Which two states of an account are compared, and how much of the difference is told.

package import Base

/// One state of an account. Whatever else can be opened as pages and named chunks becomes a case here and one in
/// `DiffSide.open`.
package enum DiffSide: Sendable, Equatable, CustomStringConvertible {
  case snapshot(SnapshotID)
  /// As it is when the comparison begins.
  case live

  package init?(_ text: String) {
    if text == "live" {
      self = .live
    } else if let id = SnapshotID(text) {
      self = .snapshot(id)
    } else {
      return nil
    }
  }

  package var description: String {
    switch self {
    case .snapshot(let id): "\(id)"
    case .live: "live"
    }
  }
}

package struct DiffRequest: Sendable {
  package var from: DiffSide
  package var to: DiffSide
  /// At most so many rows, and so many recordings, are listed; all are counted. 0: counts only.
  package var listed: Int

  package static let listedMax = 10_000

  package init(from: DiffSide, to: DiffSide, listed: Int = 0) {
    self.from = from
    self.to = to
    self.listed = min(max(listed, 0), Self.listedMax)
  }
}
