// Requests about a bucket: which there are, where it lies, what is in it.

import Base
import Hummingbird
import Node
import SQLite
import ShardStore
import SigV4

extension S3Service {
  func listBuckets(_ request: S3Request) throws -> Response {
    try request.allowOnly([])
    let account = request.account
    var document = XMLText()
    document.element("ListAllMyBucketsResult", namespace: XMLText.s3Namespace) { xml in
      xml.element("Owner") { Self.identify(account, in: &$0) }
      xml.element("Buckets") { xml in
        guard account.isActive else { return }
        xml.element("Bucket") { xml in
          xml.element("Name", account.name)
          xml.element("CreationDate", account.createdAt.rfc3339)
        }
      }
    }
    return xml(document)
  }

  private static func identify(_ account: AccountRecord, in xml: inout XMLText) {
    xml.element("ID", "\(account.id)")
    xml.element("DisplayName", account.name)
  }

  func location(_ request: S3Request) throws -> Response {
    try request.allowOnly(["location"])
    var document = XMLText()
    // Empty means that any region signs.
    document.element("LocationConstraint", namespace: XMLText.s3Namespace) { _ in }
    return xml(document)
  }

  /// Nothing is kept under older versions: an empty answer says so.
  func versioning(_ request: S3Request) throws -> Response {
    try request.allowOnly(["versioning"])
    var document = XMLText()
    document.element("VersioningConfiguration", namespace: XMLText.s3Namespace) { _ in }
    return xml(document)
  }

  private static let canonicalUser: StaticString =
    #" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser""#

  /// Whoever has a key of the account may do everything in its bucket, and nobody else anything.
  func accessControl(_ request: S3Request) throws -> Response {
    try request.allowOnly(["acl"])
    let account = request.account
    var document = XMLText()
    document.element("AccessControlPolicy", namespace: XMLText.s3Namespace) { xml in
      xml.element("Owner") { Self.identify(account, in: &$0) }
      xml.element("AccessControlList") { xml in
        xml.element("Grant") { xml in
          xml.element("Grantee", attributes: Self.canonicalUser) { Self.identify(account, in: &$0) }
          xml.element("Permission", "FULL_CONTROL")
        }
      }
    }
    return xml(document)
  }

  func objectAccessControl(_ request: S3Request) async throws -> Response {
    _ = try await row(request)
    return try accessControl(request)
  }

  /// ListObjectsV2, and the older form that pages by a marker.
  func list(_ request: S3Request) async throws -> Response {
    let target = request.target
    let isSecond = target.value("list-type") == "2"
    let common: Set<String> = ["list-type", "prefix", "delimiter", "max-keys", "encoding-type"]
    try request.allowOnly(common.union(isSecond ? ["continuation-token", "start-after", "fetch-owner"] : ["marker"]))
    guard isSecond || target.value("list-type") == nil else { throw S3Error.notImplemented("This list-type") }
    let query = try Self.query(target, isSecond: isSecond)
    let shown = try Self.shown(request)
    let serving = request.serving
    let answer = try await node.engine.read(
      request.account.id, from: serving.source, confirm: serving.confirm
    ) { connection in
      try ObjectListing(query) { after, limit throws(SQLiteError) in
        try RecordingCatalog.list(connection, prefix: query.prefix, after: after, limit: limit).map(Self.listed)
      }
    }
    let document = Self.document(
      answer.value, query, of: request.account.name, target, shown: shown, isSecond: isSecond)
    var response = xml(document)
    response.headers[.komoraPosition] = "\(answer.position)"
    return response
  }

  private static func listed(_ row: RecordingRow) -> ObjectListing.Object {
    .init(key: row.key, bytes: row.bytes, etag: row.etag, modified: row.createdAt)
  }

  private static func query(_ target: RequestTarget, isSecond: Bool) throws -> ObjectListing.Query {
    var query = ObjectListing.Query()
    query.prefix = target.value("prefix") ?? ""
    query.delimiter = target.value("delimiter") ?? ""
    guard query.prefix.utf8.count <= S3Request.keyBytesMax, query.delimiter.utf8.count <= S3Request.keyBytesMax else {
      throw S3Error.invalidArgument("The prefix or delimiter is too long.")
    }
    query.keysMax = min(try number(target, "max-keys") ?? 1000, 1000)
    if let token = target.value("continuation-token") {
      guard let start = ObjectListing.Start(token: token) else {
        throw S3Error.invalidArgument("The continuation token is not one of ours.")
      }
      query.start = start
    } else if let key = target.value(isSecond ? "start-after" : "marker") {
      query.start = .behindKey(key)
    }
    return query
  }

  private static func document(
    _ listing: ObjectListing, _ query: ObjectListing.Query, of bucket: String, _ target: RequestTarget,
    shown: (String) -> String, isSecond: Bool
  ) -> XMLText {
    var document = XMLText()
    document.element("ListBucketResult", namespace: XMLText.s3Namespace) { xml in
      xml.element("Name", bucket)
      xml.element("Prefix", shown(query.prefix))
      if !query.delimiter.isEmpty { xml.element("Delimiter", shown(query.delimiter)) }
      xml.element("MaxKeys", String(query.keysMax))
      if target.value("encoding-type") == "url" { xml.element("EncodingType", "url") }
      xml.element("IsTruncated", listing.next == nil ? "false" : "true")
      if isSecond {
        xml.element("KeyCount", String(listing.count))
        if let token = target.value("continuation-token") { xml.element("ContinuationToken", token) }
        if let after = target.value("start-after") { xml.element("StartAfter", shown(after)) }
        if let next = listing.next { xml.element("NextContinuationToken", next.token) }
      } else {
        xml.element("Marker", shown(target.value("marker") ?? ""))
        if let next = listing.next { xml.element("NextMarker", shown(next.marker)) }
      }
      for object in listing.objects {
        xml.element("Contents") { xml in
          xml.element("Key", shown(object.key))
          xml.element("LastModified", object.modified.rfc3339)
          xml.element("ETag", object.etag)
          xml.element("Size", String(object.bytes))
          xml.element("StorageClass", "STANDARD")
        }
      }
      for prefix in listing.prefixes {
        xml.element("CommonPrefixes") { $0.element("Prefix", shown(prefix)) }
      }
    }
    return document
  }
}

extension RecordingRow {
  /// In quotes: the MD5, or what S3 makes of the MD5s of an object's parts.
  var etag: String { "\"\(ObjectMetadata.etag(json: metadata, md5: md5))\"" }
}
