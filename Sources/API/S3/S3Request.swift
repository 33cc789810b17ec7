// One request on the S3 port whose signature has been checked: what it is about, and what it may do.

import HTTPTypes
import Hummingbird
import Node
import SigV4

struct S3Request: Sendable {
  var request: Request
  var context: APIContext
  let signed: SignedRequest
  let verified: VerifiedSignature
  let account: AccountRecord
  let path: ObjectPath

  static let keyBytesMax = 1024

  var target: RequestTarget { signed.target }
  var bucket: String { path.bucket }
  var key: String { path.key }

  /// For the refusal of a whole request: its method, and the sub-resource when it names one.
  var operation: String {
    let name = target.query.first { !$0.name.lowercased().hasPrefix("x-amz-") && $0.name != "x-id" }?.name
    return "\(request.method.rawValue)\(name.map { " ?\($0)" } ?? "") of \(key.isEmpty ? "a bucket" : "an object")"
  }

  /// Refuses every query parameter besides `names`: a sub-resource that is not known here must not be served as a plain
  /// get or put. What a signature adds, and the name of the operation that some clients send, mean nothing more.
  func allowOnly(_ names: Set<String>) throws(S3Error) {
    for item in target.query where !names.contains(item.name) {
      let name = item.name.lowercased()
      guard name.hasPrefix("x-amz-") || name == "x-id" else { throw .notImplemented("The parameter \(item.name)") }
    }
  }

  /// Refuses fields that ask for something that would not be done.
  func refuseUnknownWishes(besides known: Set<String> = []) throws(S3Error) {
    for (name, value) in signed.fields where name.hasPrefix("x-amz-") {
      switch name {
      case _ where name.hasPrefix("x-amz-meta-") || name.hasPrefix("x-amz-checksum-"): continue
      case _ where known.contains(name): continue
      case "x-amz-date", "x-amz-content-sha256", "x-amz-decoded-content-length", "x-amz-trailer", "x-amz-user-agent",
        "x-amz-sdk-checksum-algorithm", "x-amz-request-payer", "x-amz-expected-bucket-owner", "x-amz-te",
        "x-amz-tagging":
        continue
      case "x-amz-storage-class" where value == "STANDARD": continue
      // Everything is encrypted, with keys of the account's own.
      case "x-amz-server-side-encryption" where value == "AES256": continue
      case "x-amz-acl" where value == "private" || value == "bucket-owner-full-control": continue
      default: throw .notImplemented("The field \(name)")
      }
    }
  }

  /// By what right this node answers; nil on a node that stands alone.
  var serving: Serving? { context.serving }

  var isHead: Bool { request.method == .head }
}
