// A configuration that is refused: where, what, and the nearest thing that would be right.

package struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The file or the environment variable; empty when the text came from elsewhere.
  package var source: String
  /// From 1; nil when no line is at fault.
  package var line: Int?
  package var message: String

  package init(_ message: String, source: String = "", line: Int? = nil) {
    self.source = source
    self.line = line
    self.message = message
  }

  package var description: String {
    let place = [source, line.map(String.init) ?? ""].filter { !$0.isEmpty }.joined(separator: ":")
    return place.isEmpty ? message : "\(place): \(message)"
  }
}
