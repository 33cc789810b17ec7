// SQL values in Hrana's JSON (Hrana 3 specification, "Values"): integers as strings, blobs in base64.

package import SQLite
import SigV4

package struct HranaValue: Decodable, Sendable, Equatable {
  package let value: Value

  package init(_ value: Value) { self.value = value }

  private enum Key: String, CodingKey { case type, value, base64 }

  package init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Key.self)
    switch try fields.decode(String.self, forKey: .type) {
    case "null": value = .null
    case "integer":
      guard let number = Int64(try fields.decode(String.self, forKey: .value)) else {
        throw DecodingError.dataCorruptedError(
          forKey: .value, in: fields, debugDescription: "an integer must be a string of a signed 64-bit number")
      }
      value = .integer(number)
    case "float": value = .real(try fields.decode(Double.self, forKey: .value))
    case "text": value = .text(try fields.decode(String.self, forKey: .value))
    case "blob":
      guard let bytes = Base64.decode(try fields.decode(String.self, forKey: .base64)) else {
        throw DecodingError.dataCorruptedError(
          forKey: .base64, in: fields, debugDescription: "a blob must be in base64")
      }
      value = .blob(bytes)
    case let type:
      throw DecodingError.dataCorruptedError(
        forKey: .type, in: fields, debugDescription: "\(type.prefix(32)) is not a type of value")
    }
  }
}

extension JSONText {
  package mutating func value(_ value: Value) {
    switch value {
    case .null: raw(#"{"type":"null"}"#)
    case .integer(let number):
      raw(#"{"type":"integer","value":"#)
      plainString(String(number))
      raw("}")
    case .real(let number):
      raw(#"{"type":"float","value":"#)
      self.number(number)
      raw("}")
    case .text(let text):
      raw(#"{"type":"text","value":"#)
      string(text)
      raw("}")
    case .blob(let bytes):
      raw(#"{"type":"blob","base64":"#)
      plainString(Base64.encode(bytes))
      raw("}")
    }
  }
}
