// Deleting one object, or up to a thousand in one request. What is not there counts as deleted.

import Base
import HTTPTypes
import Hummingbird
import Node
import OpenSSL
import ShardStore
import SigV4

extension S3Service {
  func delete(_ request: S3Request) async throws -> Response {
    try request.allowOnly([])
    try Self.refuseReadOnly(request.key)
    let key = request.key
    let now = clock.unixMicroseconds()
    let answer = try await write(request) { try RecordingCatalog.delete($0, key: key, at: now) }
    return Response(status: .noContent, headers: [.komoraPosition: "\(answer.position)"])
  }

  /// 1,000 keys of 1,024 bytes, escaped.
  private static let deleteBytesMax = 4 << 20

  func deleteMany(_ request: S3Request) async throws -> Response {
    try request.allowOnly(["delete"])
    let document = try DeleteDocument(xml: try await body(request, max: Self.deleteBytesMax))
    let keys = document.keys
    let deletable = keys.filter { !Self.isReadOnly($0) }
    let now = clock.unixMicroseconds()
    let answer = try await write(request) { connection in
      for key in deletable { _ = try RecordingCatalog.delete(connection, key: key, at: now) }
    }
    let allowed = Set(deletable.map { Array($0.utf8) })
    var reply = XMLText()
    reply.element("DeleteResult", namespace: XMLText.s3Namespace) { xml in
      for key in keys {
        if allowed.contains(Array(key.utf8)) {
          if !document.isQuiet { xml.element("Deleted") { $0.element("Key", key) } }
        } else {
          xml.element("Error") { xml in
            xml.element("Key", key)
            xml.element("Code", S3Error.accessDenied.code)
            xml.element("Message", S3Error.accessDenied.message)
          }
        }
      }
    }
    var response = xml(reply)
    response.headers[.komoraPosition] = "\(answer.position)"
    return response
  }

  /// The whole verified body of a document.
  func body(_ request: S3Request, max: Int, checksumIsOfBody: Bool = true) async throws -> [UInt8] {
    let expected = try Self.contentMD5(request)
    var verifier = try PayloadVerifier(request.verified, request.signed, checksumIsOfBody: checksumIsOfBody)
    try await request.context.askForBody()
    var body = [UInt8]()
    for try await buffer in request.request.body {
      try verifier.push(Array(buffer.readableBytesView)[...]) { body.append(contentsOf: $0) }
      guard body.count <= max else {
        throw S3Error(.badRequest, "MalformedXML", "The document is too large.")
      }
    }
    try verifier.finish()
    if let expected {
      let hasher = Hasher(.md5)
      hasher.update(body)
      guard hasher.finish() == expected else {
        throw S3Error(.badRequest, "BadDigest", "The Content-MD5 is not that of the body.")
      }
    }
    return body
  }
}
