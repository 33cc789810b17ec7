// Lists of uploads in parts that are open, and of the parts of one.

import Base
import HTTPTypes
import Hummingbird
import Node
import ShardStore
import SigV4

extension S3Service {
  func listParts(_ request: S3Request) async throws -> Response {
    try request.allowOnly(["uploadId", "max-parts", "part-number-marker", "encoding-type"])
    let id = try UploadID(request.target)
    let count = try Self.number(request.target, "max-parts") ?? 1000
    let after = try Self.number(request.target, "part-number-marker") ?? 0
    let (key, limit) = (request.key, min(count, 1000))
    let answer = try await node.engine.read(
      request.account.id, from: request.serving.source, confirm: request.serving.confirm
    ) { connection in
      let upload = try Self.openUpload(connection, id, key: key)
      return (upload, try MultipartCatalog.parts(connection, of: id.bytes, after: after, limit: limit + 1))
    }
    let (upload, found) = answer.value
    let parts = found.prefix(limit)
    let shown = try Self.shown(request)
    var document = XMLText()
    document.element("ListPartsResult", namespace: XMLText.s3Namespace) { xml in
      xml.element("Bucket", request.bucket)
      xml.element("Key", shown(request.key))
      xml.element("UploadId", id.text)
      xml.element("PartNumberMarker", String(after))
      if let last = parts.last { xml.element("NextPartNumberMarker", String(last.number)) }
      xml.element("MaxParts", String(limit))
      xml.element("IsTruncated", limit > 0 && found.count > limit ? "true" : "false")
      if let algorithm = ObjectMetadata(json: upload.metadata).fields["checksum-algorithm"] {
        xml.element("ChecksumAlgorithm", algorithm.uppercased())
      }
      for part in parts {
        xml.element("Part") { xml in
          xml.element("PartNumber", String(part.number))
          xml.element("LastModified", part.createdAt.rfc3339)
          xml.element("ETag", "\"\(part.md5.hex)\"")
          xml.element("Size", String(part.bytes))
          ObjectChecksum(text: part.checksum)?.write(to: &xml)
        }
      }
      xml.element("StorageClass", "STANDARD")
    }
    var response = xml(document)
    response.headers[.komoraPosition] = "\(answer.position)"
    return response
  }

  func listUploads(_ request: S3Request) async throws -> Response {
    let target = request.target
    try request.allowOnly(["uploads", "prefix", "max-uploads", "key-marker", "upload-id-marker", "encoding-type"])
    let limit = min(try Self.number(target, "max-uploads") ?? 1000, 1000)
    let prefix = target.value("prefix") ?? ""
    let (keyMarker, idMarker) = (target.value("key-marker") ?? "", target.value("upload-id-marker") ?? "")
    guard max(prefix.utf8.count, keyMarker.utf8.count) <= S3Request.keyBytesMax else {
      throw S3Error.invalidArgument("The prefix or marker is too long.")
    }
    // Without the second marker the page begins behind every upload of the first one's key.
    let after =
      idMarker.isEmpty && !keyMarker.isEmpty ? Array(repeating: 0xFF, count: 17) : [UInt8](hex: idMarker) ?? []
    let answer = try await node.engine.read(
      request.account.id, from: request.serving.source, confirm: request.serving.confirm
    ) {
      try MultipartCatalog.list($0, prefix: prefix, after: keyMarker, after, limit: limit + 1)
    }
    let uploads = answer.value.prefix(limit)
    let isTruncated = limit > 0 && answer.value.count > limit
    let shown = try Self.shown(request)
    var document = XMLText()
    document.element("ListMultipartUploadsResult", namespace: XMLText.s3Namespace) { xml in
      xml.element("Bucket", request.bucket)
      xml.element("Prefix", shown(prefix))
      xml.element("KeyMarker", shown(keyMarker))
      xml.element("UploadIdMarker", idMarker)
      if isTruncated, let last = uploads.last {
        xml.element("NextKeyMarker", shown(last.key))
        xml.element("NextUploadIdMarker", last.id.hex)
      }
      xml.element("MaxUploads", String(limit))
      xml.element("IsTruncated", isTruncated ? "true" : "false")
      for upload in uploads {
        xml.element("Upload") { xml in
          xml.element("Key", shown(upload.key))
          xml.element("UploadId", upload.id.hex)
          xml.element("StorageClass", "STANDARD")
          xml.element("Initiated", upload.createdAt.rfc3339)
        }
      }
    }
    var response = xml(document)
    response.headers[.komoraPosition] = "\(answer.position)"
    return response
  }

  /// How keys stand in a list: as they are, or percent-encoded where the client asks for it.
  static func shown(_ request: S3Request) throws(S3Error) -> (String) -> String {
    switch request.target.value("encoding-type") {
    case nil, "": { $0 }
    case "url": { URIEncoding.encode($0, keepSlash: true) }
    default: throw S3Error.invalidArgument("encoding-type must be url.")
    }
  }

  static func number(_ target: RequestTarget, _ name: String) throws(S3Error) -> Int? {
    guard let text = target.value(name) else { return nil }
    guard let number = Int(text), number >= 0 else { throw S3Error.invalidArgument("\(name) must be a number.") }
    return number
  }
}
