// The Range field of a request (RFC 9110 §14.2), for one range of bytes.

package struct ByteRange: Equatable, Sendable {
  /// First byte, and the byte behind the last.
  package let start: Int
  package let end: Int

  package var count: Int { end - start }

  package init(start: Int, end: Int) {
    self.start = start
    self.end = end
  }

  package enum Outcome: Equatable, Sendable {
    /// No range, or a form that is to be ignored: other units, several ranges, nonsense.
    case whole
    case part(ByteRange)
    case unsatisfiable
  }

  /// What `field` asks of something of `size` bytes.
  package static func parse(_ field: String?, size: Int) -> Outcome {
    guard let field, let equals = field.firstIndex(of: "="), field[..<equals].lowercased() == "bytes" else {
      return .whole
    }
    let spec = field[field.index(after: equals)...]
    let parts = spec.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { return .whole }
    switch (number(parts[0]), number(parts[1])) {
    case (.none, .some(let suffix)) where parts[0].isEmpty:
      guard suffix > 0, size > 0 else { return .unsatisfiable }
      return .part(ByteRange(start: max(0, size - suffix), end: size))
    case (.some(let first), .none) where parts[1].isEmpty:
      return first < size ? .part(ByteRange(start: first, end: size)) : .unsatisfiable
    case (.some(let first), .some(let last)):
      guard first <= last else { return .whole }
      return first < size ? .part(ByteRange(start: first, end: min(last, size - 1) + 1)) : .unsatisfiable
    default: return .whole
    }
  }

  /// Digits only; a number beyond every size counts as the largest.
  private static func number(_ text: Substring) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    return min(Int(text) ?? .max, .max / 2)
  }
}
