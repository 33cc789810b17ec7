// An HTTP request head as the verifier and the signer see it: method, target, header fields.
//
// Field names are lower-case. A field that decides what is done or signed occurs once: with two of them the verifier
// could check one while a handler obeys the other.

package struct SignedRequest: Sendable {
  package let method: String
  package let target: RequestTarget
  package private(set) var fields: [String: String] = [:]

  /// `fields` as they came; `host` among them.
  package init(method: String, target: RequestTarget, fields received: [(name: String, value: String)])
    throws(SigV4Error)
  {
    self.method = method
    self.target = target
    for (name, value) in received {
      let name = name.lowercased()
      guard let before = fields[name] else {
        fields[name] = value
        continue
      }
      guard Self.mayRepeat.contains(name) else {
        throw SigV4Error(.malformed, "The header field \(Self.shown(name)) occurs more than once.")
      }
      fields[name] = before + "," + value
    }
  }

  package subscript(_ name: String) -> String? { fields[name] }

  /// Lists by definition (RFC 9110), added by proxies and browsers, and of no effect here.
  private static let mayRepeat: Set<String> = [
    "accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "connection", "cookie",
    "forwarded",
    "pragma", "te", "via", "x-forwarded-for",
  ]

  /// A name from outside, fit for a message.
  private static func shown(_ name: String) -> String { String(name.prefix(64).filter { $0.isASCII && !$0.isNewline }) }
}
