// What is kept of an object beside its bytes: the client's own `x-amz-meta-*`, the fields of HTTP that it wants to see
// again, tags, and what S3 says of an object that came in parts.
//
// All of it is one JSON object of strings in the object's row, so an account's database and its backups need no second
// place for it. Names that begin with `komora:` are the service's: no client can send them, for a colon cannot stand in
// the name of a header field.

import Base
import Foundation
package import HTTPTypes
import OpenSSL
package import SigV4

package struct ObjectMetadata: Sendable, Equatable {
  /// By name without `x-amz-meta-`, lower-case.
  package var values: [String: String] = [:]
  /// Fields of HTTP that replies repeat, by lower-case name.
  package var fields: [String: String] = [:]
  package var tags = ObjectTags()
  /// Of an object that came in parts, without quotes; else the MD5 is the ETag.
  package var etag: String?
  /// Bytes of each part, in order; empty for an object that came in one piece.
  package var parts: [Int] = []
  package var checksum: ObjectChecksum?

  private static let prefix = "komora:"
  private static let fieldBytesMax = 1024
  private static let keptFields = [
    "cache-control", "content-disposition", "content-encoding", "content-language", "expires",
  ]

  package init() {}

  /// Of a request. Refuses more than S3's limit of 2 KiB for names and values together.
  package init(_ request: SignedRequest) throws(S3Error) {
    for (name, value) in request.fields where name.hasPrefix("x-amz-meta-") {
      values[String(name.dropFirst("x-amz-meta-".count))] = value
    }
    guard values.reduce(0, { $0 + $1.key.utf8.count + $1.value.utf8.count }) <= Limits.recordingMetadataBytesMax else {
      throw S3Error(.badRequest, "MetadataTooLarge", "Metadata headers exceed the maximum allowed size.")
    }
    for name in Self.keptFields {
      guard var value = request[name] else { continue }
      if name == "content-encoding" { value = Self.withoutFraming(value) }
      guard value.utf8.count <= Self.fieldBytesMax else {
        throw S3Error(.badRequest, "MetadataTooLarge", "The field \(name) is longer than \(Self.fieldBytesMax) bytes.")
      }
      if !value.isEmpty { fields[name] = value }
    }
    if let text = request["x-amz-tagging"] { tags = try ObjectTags(header: text) }
  }

  /// How a body is framed on its way is no property of the object.
  private static func withoutFraming(_ encoding: String) -> String {
    encoding.split(separator: ",").map { $0.drop { $0 == " " } }
      .filter { $0.lowercased().prefix { $0 != " " } != "aws-chunked" }
      .joined(separator: ", ")
  }

  /// What is not an object of strings gives none.
  package init(json: String) {
    guard json != "{}" else { return }
    let all = (try? JSONDecoder().decode([String: String].self, from: Data(json.utf8))) ?? [:]
    for (name, value) in all {
      guard name.hasPrefix(Self.prefix) else {
        values[name] = value
        continue
      }
      let name = String(name.dropFirst(Self.prefix.count))
      switch name {
      case "etag": etag = value
      case "parts": parts = Self.sizes(value)
      case "tags": tags = (try? ObjectTags(header: value)) ?? ObjectTags()
      case "checksum": checksum = ObjectChecksum(text: value)
      default: fields[name] = value
      }
    }
  }

  package var json: String {
    var all = values
    for (name, value) in fields { all[Self.prefix + name] = value }
    all[Self.prefix + "etag"] = etag
    if !parts.isEmpty { all[Self.prefix + "parts"] = Self.text(parts) }
    if !tags.isEmpty { all[Self.prefix + "tags"] = tags.header }
    all[Self.prefix + "checksum"] = checksum?.text
    var json = JSONText()
    json.raw("{")
    for (i, (name, value)) in all.sorted(by: { $0.key < $1.key }).enumerated() {
      if i > 0 { json.raw(",") }
      json.string(name)
      json.raw(":")
      json.string(value)
    }
    json.raw("}")
    return String(decoding: json.bytes, as: UTF8.self)
  }

  /// The ETag without quotes, of a row's metadata: most objects came in one piece and need no look into it.
  static func etag(json: String, md5: [UInt8]) -> String {
    guard json != "{}", json.contains("\"\(prefix)etag\"") else { return md5.hex }
    return ObjectMetadata(json: json).etag ?? md5.hex
  }

  /// What a reply's head says of the object.
  package var replyFields: HTTPFields {
    var reply: HTTPFields = [:]
    for (name, value) in values { if let name = HTTPField.Name("x-amz-meta-" + name) { reply[name] = value } }
    for (name, value) in fields { if let name = HTTPField.Name(name) { reply[name] = value } }
    if !tags.isEmpty { reply[.amazonTaggingCount] = String(tags.count) }
    return reply
  }

  // Runs of equal sizes: `8388608*63,123`.

  private static func text(_ sizes: [Int]) -> String {
    var runs: [(size: Int, count: Int)] = []
    for size in sizes {
      if runs.last?.size == size { runs[runs.count - 1].count += 1 } else { runs.append((size, 1)) }
    }
    return runs.map { $0.count == 1 ? "\($0.size)" : "\($0.size)*\($0.count)" }.joined(separator: ",")
  }

  private static func sizes(_ text: String) -> [Int] {
    var sizes: [Int] = []
    for run in text.split(separator: ",") {
      let numbers = run.split(separator: "*").map { Int($0) ?? -1 }
      guard (1...2).contains(numbers.count), numbers.allSatisfy({ $0 >= 0 }), numbers[0] <= Limits.recordingBytesMax
      else {
        return []
      }
      let count = numbers.count == 2 ? numbers[1] : 1
      guard sizes.count + count <= MultipartLimits.partNumberMax else { return [] }
      sizes += repeatElement(numbers[0], count: count)
    }
    return sizes
  }
}
