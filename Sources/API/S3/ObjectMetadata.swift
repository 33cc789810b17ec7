// What a client says about an object in `x-amz-meta-*`: kept as a JSON object of strings, given back as it came.

import Base
import Foundation
import HTTPTypes
import SigV4

struct ObjectMetadata: Sendable, Equatable {
  /// By name without `x-amz-meta-`, lower-case.
  var values: [String: String]

  /// Of a request. Refuses more than S3's limit of 2 KiB for names and values together.
  init(_ request: SignedRequest) throws(S3Error) {
    var values: [String: String] = [:]
    for (name, value) in request.fields where name.hasPrefix("x-amz-meta-") {
      values[String(name.dropFirst("x-amz-meta-".count))] = value
    }
    self.values = values
    guard values.reduce(0, { $0 + $1.key.utf8.count + $1.value.utf8.count }) <= Limits.recordingMetadataBytesMax else {
      throw S3Error(.badRequest, "MetadataTooLarge", "Metadata headers exceed the maximum allowed size.")
    }
  }

  /// What is not an object of strings gives none.
  init(json: String) {
    values = (try? JSONDecoder().decode([String: String].self, from: Data(json.utf8))) ?? [:]
  }

  var json: String {
    var json = JSONText()
    json.raw("{")
    for (i, (name, value)) in values.sorted(by: { $0.key < $1.key }).enumerated() {
      if i > 0 { json.raw(",") }
      json.string(name)
      json.raw(":")
      json.string(value)
    }
    json.raw("}")
    return String(decoding: json.bytes, as: UTF8.self)
  }
}
