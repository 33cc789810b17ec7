// If-Match, If-None-Match, If-Modified-Since and If-Unmodified-Since (RFC 9110 §13), against what is there.

package import HTTPTypes

package struct ObjectConditions: Sendable {
  private let match: String?
  private let noneMatch: String?
  private let modifiedSince: String?
  private let unmodifiedSince: String?

  package init(_ fields: HTTPFields) {
    match = fields[.ifMatch]
    noneMatch = fields[.ifNoneMatch]
    modifiedSince = fields[.ifModifiedSince]
    unmodifiedSince = fields[.ifUnmodifiedSince]
  }

  /// Of the source of a copy, whose fields have names of their own.
  package init(copySource field: (String) -> String?) {
    match = field("x-amz-copy-source-if-match")
    noneMatch = field("x-amz-copy-source-if-none-match")
    modifiedSince = field("x-amz-copy-source-if-modified-since")
    unmodifiedSince = field("x-amz-copy-source-if-unmodified-since")
  }

  /// For a read: throws the reply that takes the object's place. `etag` has its quotes; times are in seconds.
  package func checkRead(etag: String, modified: Int64) throws(S3Error) {
    if let match {
      guard Self.lists(match, etag) else { throw .preconditionFailed }
    } else if let date = unmodifiedSince.flatMap(HTTPDate.parse), modified > date {
      throw .preconditionFailed
    }
    if let noneMatch {
      guard !Self.lists(noneMatch, etag) else { throw .notModified }
    } else if let date = modifiedSince.flatMap(HTTPDate.parse), modified <= date {
      throw .notModified
    }
  }

  /// For a write over `etag`, nil when there is nothing.
  package func checkWrite(etag: String?) throws(S3Error) {
    if let match {
      guard let etag else { throw .noSuchKey }
      guard Self.lists(match, etag) else { throw .preconditionFailed }
    }
    if let noneMatch, let etag, Self.lists(noneMatch, etag) { throw .preconditionFailed }
  }

  private static func lists(_ field: String, _ etag: String) -> Bool {
    field.split(separator: ",").contains { item in
      var item = item.drop { $0 == " " }
      while item.last == " " { item.removeLast() }
      if item.hasPrefix("W/") { item = item.dropFirst(2) }
      // Some clients leave out the quotes.
      return item == "*" || item == etag || "\"\(item)\"" == etag
    }
  }
}
