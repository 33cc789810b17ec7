// The keys of the control store, and the JSON of its values.

import Base
import ControlStores
import Foundation

enum ControlKeys {
  static let accounts = "account/"
  static let keys = "key/"
  static let admins = "admin/"

  static func account(_ id: AccountID) -> String { accounts + "\(id)" }
  static func key(_ accessKey: String) -> String { keys + accessKey }
  static func admin(_ id: String) -> String { admins + id }

  static func encode(_ value: some Encodable) throws(NodeError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    do {
      return Array(try encoder.encode(value))
    } catch {
      throw NodeError(.invalid, "a value cannot be stored")
    }
  }

  static func decode<T: Decodable>(_ entry: ControlEntry, as _: T.Type = T.self) throws(NodeError) -> T {
    do {
      return try JSONDecoder().decode(T.self, from: Data(entry.value))
    } catch {
      throw NodeError(.io, "the control store has a value of a form that this version does not know: \(entry.key)")
    }
  }
}

extension NodeError {
  init(_ error: ControlStoreError) {
    self.init(error.code == .busy ? .unavailable : .io, error.message)
  }
}
