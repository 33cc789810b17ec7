// The body of a multi-delete: `<Delete><Object><Key>…</Key></Object>…<Quiet>true</Quiet></Delete>`.

import HTTPTypes

package struct DeleteDocument: Equatable, Sendable {
  package private(set) var keys: [String] = []
  /// Only failures are to be told.
  package private(set) var isQuiet = false

  package static let keysMax = 1000

  /// Reads a document of 1 to 1,000 keys.
  package init(xml: [UInt8]) throws(S3Error) {
    var objects = 0
    var keys: [String] = []
    var isQuiet = false
    // Versions and conditions of single objects would change what is deleted.
    try XMLDocument.read(
      xml, name: "Delete", known: Self.known,
      unknown: {
        $0.starts(with: ["Delete", "Object"])
          ? S3Error.notImplemented("The element \($0.last!) of an object to delete") : nil
      }
    ) { path, text in
      switch path {
      case ["Delete", "Object", "Key"]: keys.append(text)
      case ["Delete", "Quiet"]: isQuiet = text == "true"
      case ["Delete", "Object"]: objects += 1
      default: break
      }
    }
    guard (1...Self.keysMax).contains(keys.count), keys.count == objects,
      keys.allSatisfy({ (1...S3Request.keyBytesMax).contains($0.utf8.count) })
    else { throw XMLDocument.malformed("Delete") }
    (self.keys, self.isQuiet) = (keys, isQuiet)
  }

  private static let known: Set<[String]> = [
    ["Delete"], ["Delete", "Object"], ["Delete", "Object", "Key"], ["Delete", "Quiet"],
  ]
}
