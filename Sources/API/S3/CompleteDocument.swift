// The body that ends an upload in parts: which parts, in which order, with their ETags and checksums.

import HTTPTypes
package import SigV4

package struct CompleteDocument: Sendable, Equatable {
  package struct Part: Sendable, Equatable {
    package var number: Int
    /// Without quotes; empty when it was not given.
    package var etag: String
    package var checksum: (algorithm: PayloadChecksum.Algorithm, value: String)?

    package static func == (a: Part, b: Part) -> Bool {
      a.number == b.number && a.etag == b.etag && a.checksum?.algorithm == b.checksum?.algorithm
        && a.checksum?.value == b.checksum?.value
    }
  }

  package private(set) var parts: [Part] = []

  /// Reads a document of 1 to 10,000 parts in ascending order.
  package init(xml: [UInt8]) throws(S3Error) {
    let name = "CompleteMultipartUpload"
    let part = [name, "Part"]
    let sums = PayloadChecksum.Algorithm.allCases.map { part + ["Checksum" + $0.rawValue.uppercased()] }
    var found: [Part] = []
    var next = Part(number: 0, etag: "")
    try XMLDocument.read(xml, name: name, known: Set([[name], part, part + ["PartNumber"], part + ["ETag"]] + sums)) {
      path, text throws(S3Error) in
      guard path.count == 3 else {
        guard path == part else { return }
        guard (1...MultipartLimits.partNumberMax).contains(next.number) else { throw XMLDocument.malformed(name) }
        found.append(next)
        next = Part(number: 0, etag: "")
        return
      }
      let trimmed = text.filter { !$0.isWhitespace }
      switch path[2] {
      case "PartNumber": next.number = Int(trimmed) ?? 0
      case "ETag": next.etag = trimmed.filter { $0 != "\"" }
      default: if let algorithm = ObjectChecksum.algorithm(element: path[2]) { next.checksum = (algorithm, trimmed) }
      }
    }
    guard (1...MultipartLimits.partNumberMax).contains(found.count) else { throw XMLDocument.malformed(name) }
    guard zip(found, found.dropFirst()).allSatisfy({ $0.number < $1.number }) else {
      throw S3Error(.badRequest, "InvalidPartOrder", "The parts are not listed in ascending order, each once.")
    }
    parts = found
  }
}
