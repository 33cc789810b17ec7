// Which of a file's unsynced changes a crash leaves: none, all, those up to some moment, or any, in any order.
//
// A torn write keeps its beginning, its end, or sectors at random.

internal import Base

struct SurvivalPlan {
  private enum Style {
    case none, all
    // All before this change; this one torn.
    case until(Int)
    case any
  }

  private let style: Style
  /// How many changes of the length are kept: file systems journal these in order.
  let lengthChanges: Int

  init(changes: Int, using generator: inout SeededGenerator) {
    switch generator.below(8) {
    case 0: (style, lengthChanges) = (.none, 0)
    case 1: (style, lengthChanges) = (.all, changes)
    case 2, 3:
      let until = generator.below(changes)
      (style, lengthChanges) = (.until(until), until + generator.below(2))
    default: (style, lengthChanges) = (.any, generator.oneIn(2) ? changes : generator.below(changes + 1))
    }
  }

  /// The byte ranges, whole sectors each, that are kept of a write to `sectors`.
  func kept(change: Int, sectors: Range<Int>, using generator: inout SeededGenerator) -> [Range<Int>] {
    switch style {
    case .none: []
    case .all: [sectors]
    case .until(let last) where change != last: change < last ? [sectors] : []
    case .until: torn(sectors, using: &generator)
    case .any:
      switch generator.below(3) {
      case 0: []
      case 1: [sectors]
      default: torn(sectors, using: &generator)
      }
    }
  }

  static func sectors(of range: Range<Int>) -> Range<Int> {
    let sector = SparseImage.sector
    return range.lowerBound / sector * sector..<(range.upperBound + sector - 1) / sector * sector
  }

  private func torn(_ range: Range<Int>, using generator: inout SeededGenerator) -> [Range<Int>] {
    let sector = SparseImage.sector
    let count = range.count / sector
    guard count > 1 else { return generator.oneIn(2) ? [range] : [] }
    let cut = range.lowerBound + sector * (1 + generator.below(count - 1))
    switch generator.below(3) {
    case 0: return [range.lowerBound..<cut]
    case 1: return [cut..<range.upperBound]
    default:
      let starts = stride(from: range.lowerBound, to: range.upperBound, by: sector)
      return starts.compactMap { generator.oneIn(2) ? $0..<($0 + sector) : nil }
    }
  }
}
