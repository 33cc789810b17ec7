// The body of a multi-delete: `<Delete><Object><Key>…</Key></Object>…<Quiet>true</Quiet></Delete>`.

import HTTPTypes

package struct DeleteDocument: Equatable, Sendable {
  package private(set) var keys: [String] = []
  /// Only failures are to be told.
  package private(set) var isQuiet = false

  package static let keysMax = 1000

  /// Reads a document of 1 to 1,000 keys.
  package init(xml: [UInt8]) throws(S3Error) {
    let malformed = S3Error(.badRequest, "MalformedXML", "The document is not a valid Delete document.")
    var path: [String] = []
    var text = ""
    do {
      var reader = try XMLReader(xml)
      while let event = try reader.next() {
        switch event {
        case .start(let name):
          path.append(name)
          text = ""
          guard Self.known.contains(path) else {
            // Versions and conditions of single objects would change what is deleted.
            throw path.starts(with: ["Delete", "Object"]) ? S3Error.notImplemented : malformed
          }
        case .text(let more): text += more
        case .end:
          switch path {
          case ["Delete", "Object", "Key"]: keys.append(text)
          case ["Delete", "Quiet"]: isQuiet = text == "true"
          default: break
          }
          objects += path == ["Delete", "Object"] ? 1 : 0
          path.removeLast()
        }
      }
    } catch let error as S3Error { throw error } catch { throw malformed }
    guard (1...Self.keysMax).contains(keys.count), keys.count == objects,
      keys.allSatisfy({ (1...S3Request.keyBytesMax).contains($0.utf8.count) })
    else { throw malformed }
  }

  private var objects = 0

  private static let known: Set<[String]> = [
    ["Delete"], ["Delete", "Object"], ["Delete", "Object", "Key"], ["Delete", "Quiet"],
  ]
}
