// Deleting one object, or up to a thousand in one request. What is not there counts as deleted.

import Base
import Foundation
import HTTPTypes
import Hummingbird
import Node
import OpenSSL
import ShardStore
import SigV4
import XMLCoder

extension S3Service {
  func delete(_ request: S3Request) async throws -> Response {
    try request.allowOnly([])
    try Self.refuseReadOnly(request.key)
    let key = request.key
    let now = clock.unixMicroseconds()
    let answer = try await node.engine.write(request.account.id) { try RecordingCatalog.delete($0, key: key, at: now) }
    return Response(status: .noContent, headers: [.komoraPosition: "\(answer.position)"])
  }

  private struct DeleteDocument: Decodable {
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

  /// 1,000 keys of 1,024 bytes, escaped.
  private static let deleteBytesMax = 4 << 20
  private static let deleteCountMax = 1000

  func deleteMany(_ request: S3Request) async throws -> Response {
    try request.allowOnly(["delete"])
    let document = try Self.document(try await body(request))
    guard document.objects.count <= Self.deleteCountMax, !document.objects.isEmpty,
      document.objects.allSatisfy({ (1...S3Request.keyBytesMax).contains($0.key.utf8.count) })
    else { throw S3Error(.badRequest, "MalformedXML", "The document must name 1 to 1000 keys.") }
    guard document.objects.allSatisfy({ $0.versionID == nil }) else { throw S3Error.notImplemented }
    let keys = document.objects.map(\.key)
    let deletable = keys.filter { !Self.isReadOnly($0) }
    let now = clock.unixMicroseconds()
    let answer = try await node.engine.write(request.account.id) { connection in
      for key in deletable { _ = try RecordingCatalog.delete(connection, key: key, at: now) }
    }
    let allowed = Set(deletable.map { Array($0.utf8) })
    var reply = XMLText()
    reply.element("DeleteResult", namespace: XMLText.s3Namespace) { xml in
      for key in keys {
        if allowed.contains(Array(key.utf8)) {
          if document.quiet != true { xml.element("Deleted") { $0.element("Key", key) } }
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

  /// The whole verified body; it must be covered by a checksum, as S3 asks for this request.
  private func body(_ request: S3Request) async throws -> [UInt8] {
    let expected = try Self.contentMD5(request)
    var verifier = try PayloadVerifier(request.verified, request.signed)
    try await request.context.askForBody()
    var body = [UInt8]()
    for try await buffer in request.request.body {
      try verifier.push(Array(buffer.readableBytesView)[...]) { body.append(contentsOf: $0) }
      guard body.count <= Self.deleteBytesMax else {
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

  private static func document(_ body: [UInt8]) throws(S3Error) -> DeleteDocument {
    let malformed = S3Error(.badRequest, "MalformedXML", "The document is not a valid Delete document.")
    // No entity can be declared without one, and no document of S3's has one.
    guard body.firstRange(of: "<!".utf8) == nil else { throw malformed }
    let decoder = XMLDecoder()
    decoder.shouldProcessNamespaces = true
    decoder.trimValueWhitespaces = false
    do { return try decoder.decode(DeleteDocument.self, from: Data(body)) } catch { throw malformed }
  }
}
