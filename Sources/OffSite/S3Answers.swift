// The XML documents that S3's storage answers with, as far as a copy reads them. What is missing or odd is `.damaged`; a
// document has a largest size, checked where it is received.

import SigV4

/// An element with its text and what lies in it.
package struct XMLElement: Equatable {
  package var name = ""
  package var text = ""
  package var children: [XMLElement] = []

  /// Elements in one document; a listing of 1,000 objects has some 10,000.
  static let countMax = 100_000

  init() {}

  package init(parsing bytes: [UInt8]) throws(OffSiteError) {
    var open = [XMLElement()]
    var count = 0
    do {
      var reader = try XMLReader(bytes)
      while let event = try reader.next() {
        switch event {
        case .start(let name):
          count += 1
          guard count <= Self.countMax else { throw XMLReader.Malformed() }
          var element = XMLElement()
          element.name = name
          open.append(element)
        case .text(let text): open[open.count - 1].text += text
        case .end:
          let ended = open.removeLast()
          open[open.count - 1].children.append(ended)
        }
      }
    } catch {
      throw OffSiteError(.damaged, "the off-site storage answered with something that is no XML")
    }
    guard open.count == 1, let root = open[0].children.first else {
      throw OffSiteError(.damaged, "the off-site storage answered with an empty document")
    }
    self = root
  }

  func first(_ name: String) -> String? { children.first { $0.name == name }?.text }
  func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }

  func required(_ name: String) throws(OffSiteError) -> String {
    guard let text = first(name) else {
      throw OffSiteError(.damaged, "the off-site storage answered without \(name)")
    }
    return text
  }

  func number(_ name: String) throws(OffSiteError) -> UInt64 {
    guard let number = UInt64(try required(name)) else {
      throw OffSiteError(.damaged, "the off-site storage gave a \(name) that is no number")
    }
    return number
  }

  /// Keys come in URL encoding, so that none can look like markup.
  func key(_ name: String) throws(OffSiteError) -> String {
    let text = try required(name)
    guard let bytes = URIEncoding.decode(Array(text.utf8)),
      let key = String(validating: bytes, as: UTF8.self)
    else { throw OffSiteError(.damaged, "the off-site storage gave a key that is not encoded as asked") }
    return key
  }
}

package struct ListedPage: Equatable {
  package var objects: [StoredObject] = []
  package var next: String?

  package init(parsing bytes: [UInt8]) throws(OffSiteError) {
    let root = try XMLElement(parsing: bytes)
    guard root.name == "ListBucketResult" else {
      throw OffSiteError(.damaged, "the off-site storage answered a listing with \(root.name)")
    }
    for entry in root.all("Contents") {
      objects.append(StoredObject(key: try entry.key("Key"), bytes: try entry.number("Size")))
    }
    if root.first("IsTruncated") == "true" { next = try root.required("NextContinuationToken") }
  }
}

package struct ListedUploads: Equatable {
  package var uploads: [StoredUpload] = []
  /// Key and id behind which the next page begins.
  package var next: (key: String, id: String)?

  package init(parsing bytes: [UInt8]) throws(OffSiteError) {
    let root = try XMLElement(parsing: bytes)
    guard root.name == "ListMultipartUploadsResult" else {
      throw OffSiteError(.damaged, "the off-site storage answered a listing of uploads with \(root.name)")
    }
    for entry in root.all("Upload") {
      uploads.append(StoredUpload(key: try entry.key("Key"), id: try entry.required("UploadId")))
    }
    if root.first("IsTruncated") == "true" {
      next = (try root.key("NextKeyMarker"), try root.required("NextUploadIdMarker"))
    }
  }

  package static func == (a: Self, b: Self) -> Bool {
    a.uploads == b.uploads && a.next?.key == b.next?.key && a.next?.id == b.next?.id
  }
}

package struct ListedParts: Equatable {
  package var parts: [StoredPart] = []
  package var next: Int?

  package init(parsing bytes: [UInt8]) throws(OffSiteError) {
    let root = try XMLElement(parsing: bytes)
    // Some servers say ListPartsResponse.
    guard root.name.hasPrefix("ListParts"), root.first("UploadId") != nil else {
      throw OffSiteError(.damaged, "the off-site storage answered a listing of parts with \(root.name)")
    }
    for entry in root.all("Part") {
      let number = try entry.number("PartNumber")
      guard (1...10_000).contains(number) else {
        throw OffSiteError(.damaged, "the off-site storage lists part \(number)")
      }
      parts.append(
        StoredPart(number: Int(number), bytes: try entry.number("Size"), etag: try entry.required("ETag")))
    }
    if root.first("IsTruncated") == "true" { next = Int(clamping: try root.number("NextPartNumberMarker")) }
  }
}
