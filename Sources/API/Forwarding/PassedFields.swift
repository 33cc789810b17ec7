// Which header fields go from node to node: those of the request and the reply, not those of one connection
// (RFC 9110 §7.6.1), and nothing of ours that only a node may say.

import Formats
import HTTPTypes

enum PassedFields {
  private static let connection: Set<String> = [
    "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
  ]
  /// What a client may ask of us.
  private static let wishes: Set<String> = [
    "komora-at-least", "komora-staleness", "komora-deadline", "komora-content-md5",
  ]

  static func ofRequest(_ fields: HTTPFields) -> [ForwardedField] {
    let named = nominated(fields)
    return fields.filter { field in
      let name = field.name.canonicalName
      return !connection.contains(name) && !named.contains(name)
        && (!name.hasPrefix("komora-") || wishes.contains(name))
    }.map { ForwardedField($0.name.rawName, $0.value) }
  }

  static func ofReply(_ fields: HTTPFields) -> [ForwardedField] {
    fields.filter { !connection.contains($0.name.canonicalName) }.map { ForwardedField($0.name.rawName, $0.value) }
  }

  /// Fields that came from another node; what is no field is left out.
  static func fields(_ passed: [ForwardedField]) -> HTTPFields {
    var fields = HTTPFields()
    for field in passed {
      guard let name = HTTPField.Name(field.name), HTTPField.isValidValue(field.value) else { continue }
      fields.append(HTTPField(name: name, value: field.value))
    }
    return fields
  }

  /// Fields that `Connection` names.
  private static func nominated(_ fields: HTTPFields) -> Set<String> {
    guard let names = fields[.connection] else { return [] }
    return Set(names.split(separator: ",").map { $0.trimmingPrefix { $0 == " " }.lowercased().filter { $0 != " " } })
  }
}
