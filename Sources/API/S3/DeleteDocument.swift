// The body of a multi-delete.

import Foundation
import HTTPTypes
import XMLCoder

package struct DeleteDocument: Equatable, Sendable {
  package let keys: [String]
  /// Only failures are to be told.
  package let isQuiet: Bool

  package static let keysMax = 1000

  private struct Document: Decodable {
    struct Object: Decodable {
      var key: String
      var versionID: String?

      enum CodingKeys: String, CodingKey {
        case key = "Key"
        case versionID = "VersionId"
      }
    }
    var objects: [Object]
    var quiet: Bool?

    enum CodingKeys: String, CodingKey {
      case objects = "Object"
      case quiet = "Quiet"
    }
  }

  /// Reads a document of 1 to 1,000 keys.
  package init(xml: [UInt8]) throws(S3Error) {
    let malformed = S3Error(.badRequest, "MalformedXML", "The document is not a valid Delete document.")
    // No entity can be declared without one, and no document of S3's has one.
    guard xml.firstRange(of: Array("<!".utf8)) == nil else { throw malformed }
    let decoder = XMLDecoder()
    decoder.shouldProcessNamespaces = true
    decoder.trimValueWhitespaces = false
    let document: Document
    do { document = try decoder.decode(Document.self, from: Data(xml)) } catch { throw malformed }
    keys = document.objects.map(\.key)
    isQuiet = document.quiet ?? false
    guard (1...Self.keysMax).contains(keys.count),
      keys.allSatisfy({ (1...S3Request.keyBytesMax).contains($0.utf8.count) })
    else { throw malformed }
    guard document.objects.allSatisfy({ $0.versionID == nil }) else { throw .notImplemented }
  }
}
