// Walks a small document of a known shape: every element that is not expected is refused.

import HTTPTypes
import SigV4

package enum XMLDocument {
  package static func malformed(_ name: String) -> S3Error {
    S3Error(.badRequest, "MalformedXML", "The document is not a valid \(name) document.")
  }

  /// Calls `ended` at the end of each element with the names that lead to it and the text in front of that end.
  /// `unknown` is asked about an element that is not among `known`; nil makes the document malformed.
  package static func read(
    _ xml: [UInt8], name: String, known: Set<[String]>, unknown: ([String]) -> S3Error? = { _ in nil },
    _ ended: (_ path: [String], _ text: String) throws(S3Error) -> Void
  ) throws(S3Error) {
    var path: [String] = []
    var text = ""
    var found = false
    do {
      var reader = try XMLReader(xml)
      while let event = try reader.next() {
        switch event {
        case .start(let element):
          path.append(element)
          text = ""
          found = true
          guard known.contains(path) else { throw unknown(path) ?? malformed(name) }
        case .text(let more): text += more
        case .end:
          try ended(path, text)
          path.removeLast()
          text = ""
        }
      }
    } catch let error as S3Error { throw error } catch { throw malformed(name) }
    guard found else { throw malformed(name) }
  }
}
