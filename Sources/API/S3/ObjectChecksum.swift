// The additional checksum of an object or a part as S3 shows it: of all bytes, or of the checksums of its parts.

package import SigV4

package struct ObjectChecksum: Sendable, Equatable {
  package enum Scope: String, Sendable {
    case fullObject = "FULL_OBJECT"
    case composite = "COMPOSITE"
  }

  package var algorithm: PayloadChecksum.Algorithm
  package var scope: Scope
  /// Base64; a composite one has `-` and the number of parts behind it.
  package var value: String

  package init(_ algorithm: PayloadChecksum.Algorithm, _ value: [UInt8]) {
    (self.algorithm, scope, self.value) = (algorithm, .fullObject, Base64.encode(value))
  }

  /// Of the parts' checksums, in order.
  package init(composite algorithm: PayloadChecksum.Algorithm, of parts: [[UInt8]]) {
    var checksum = PayloadChecksum(algorithm)
    for part in parts { checksum.update(part.span.bytes) }
    self.algorithm = algorithm
    scope = .composite
    value = "\(Base64.encode(checksum.finish()))-\(parts.count)"
  }

  /// How it is kept: `crc32:FULL_OBJECT:…`.
  package init?(text: String) {
    let words = text.split(separator: ":")
    guard words.count == 3, let algorithm = PayloadChecksum.Algorithm(rawValue: String(words[0])),
      let scope = Scope(rawValue: String(words[1]))
    else { return nil }
    (self.algorithm, self.scope, value) = (algorithm, scope, String(words[2]))
  }

  package var text: String { "\(algorithm.rawValue):\(scope.rawValue):\(value)" }

  /// As an element of a document: `<ChecksumCRC32>…`.
  package func write(to xml: inout XMLText) {
    switch algorithm {
    case .crc32: xml.element("ChecksumCRC32", value)
    case .crc32c: xml.element("ChecksumCRC32C", value)
    case .crc64nvme: xml.element("ChecksumCRC64NVME", value)
    case .sha1: xml.element("ChecksumSHA1", value)
    case .sha256: xml.element("ChecksumSHA256", value)
    }
  }

  /// The algorithm whose element in a document has this name.
  package static func algorithm(element: String) -> PayloadChecksum.Algorithm? {
    PayloadChecksum.Algorithm.allCases.first { element == "Checksum" + $0.rawValue.uppercased() }
  }
}
