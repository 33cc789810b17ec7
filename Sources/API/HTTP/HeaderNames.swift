// Names of header fields that are ours or S3's.

import HTTPTypes

extension HTTPField.Name {
  static let komoraPosition = Self("Komora-Position")!
  static let komoraNode = Self("Komora-Node")!
  static let komoraAtLeast = Self("Komora-At-Least")!
  static let komoraStaleness = Self("Komora-Staleness")!
  static let komoraDeadline = Self("Komora-Deadline")!
  static let komoraContentMD5 = Self("Komora-Content-MD5")!
  static let idempotencyKey = Self("Idempotency-Key")!
  static let amazonChecksumType = Self("x-amz-checksum-type")!
  static let amazonTaggingCount = Self("x-amz-tagging-count")!
  static let amazonPartsCount = Self("x-amz-mp-parts-count")!
  static let amazonRequestID = Self("x-amz-request-id")!
}
