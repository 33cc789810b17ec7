// Where a server listens, or where one is reached: `127.0.0.1:7400`, `[::1]:7400`, `node.example:7400`.

package struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
  package var host: String
  /// 0 asks the system for a free one.
  package var port: Int

  package init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// Nil when it is not a host and a port.
  package init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let portText = text[text.index(after: colon)...]
    var host = text[..<colon]
    guard let port = UInt16(portText), portText.allSatisfy(\.isNumber) else { return nil }
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty, host.allSatisfy({ $0.isASCII && !$0.isWhitespace && $0 != "/" }) else { return nil }
    self.init(host: String(host), port: Int(port))
  }

  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  package var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }
}
