import Base
import OffSite
import Testing

@Suite("the storage's answers") struct AnswerTests {
  static let listing = """
    <?xml version="1.0" encoding="UTF-8"?>
    <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><EncodingType>url</EncodingType>
    <IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b</NextContinuationToken>
    <Contents><Key>a%20b/%26c</Key><Size>12</Size><ETag>&quot;x&quot;</ETag></Contents>
    <Contents><Key>d</Key><Size>0</Size><Owner><ID>1</ID></Owner></Contents></ListBucketResult>
    """
  static let uploads = """
    <ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k%2F1</NextKeyMarker>
    <NextUploadIdMarker>u1</NextUploadIdMarker><Upload><Key>k%2F1</Key><UploadId>u1</UploadId></Upload>
    </ListMultipartUploadsResult>
    """
  static let parts = """
    <ListPartsResult><UploadId>u</UploadId><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber><ETag>"e"</ETag><Size>5</Size></Part>
    </ListPartsResult>
    """

  @Test("listings are read, with keys as they were encoded")
  func good() throws {
    let page = try ListedPage(parsing: Array(Self.listing.utf8))
    #expect(page.objects == [StoredObject(key: "a b/&c", bytes: 12), StoredObject(key: "d", bytes: 0)])
    #expect(page.next == "a&b")
    let uploads = try ListedUploads(parsing: Array(Self.uploads.utf8))
    #expect(uploads.uploads == [StoredUpload(key: "k/1", id: "u1")] && uploads.next?.key == "k/1")
    let parts = try ListedParts(parsing: Array(Self.parts.utf8))
    #expect(parts.parts == [StoredPart(number: 1, bytes: 5, etag: "\"e\"")] && parts.next == nil)
  }

  @Test("what is no answer is refused")
  func bad() {
    for text in [
      "", "<a/>", "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
      "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
      "<ListBucketResult><Contents><Key>%zz</Key><Size>1</Size></Contents></ListBucketResult>",
      "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
      "<!DOCTYPE x [<!ENTITY y \"z\">]><ListBucketResult>&y;</ListBucketResult>",
    ] {
      #expect(throws: OffSiteError.self, "\(text)") { try ListedPage(parsing: Array(text.utf8)) }
    }
    #expect(throws: OffSiteError.self) {
      try ListedParts(parsing: Array(Self.parts.replacing("<PartNumber>1<", with: "<PartNumber>10001<").utf8))
    }
    let many = "<ListBucketResult>\(String(repeating: "<a/>", count: 200_000))</ListBucketResult>"
    #expect(throws: OffSiteError.self) { try ListedPage(parsing: Array(many.utf8)) }
  }

  @Test("changed answers never end the process")
  func fuzz() {
    var random = SeededGenerator(seed: 7)
    for text in [Self.listing, Self.uploads, Self.parts] {
      let bytes = Array(text.utf8)
      for _ in 0..<20_000 {
        var changed = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          switch Int.random(in: 0..<3, using: &random) {
          case 0: changed[Int.random(in: changed.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
          case 1: changed.removeSubrange(Int.random(in: changed.indices, using: &random)...)
          default:
            changed.insert(
              UInt8.random(in: 32...126, using: &random), at: Int.random(in: changed.indices, using: &random))
          }
          if changed.isEmpty { changed = bytes }
        }
        _ = try? ListedPage(parsing: changed)
        _ = try? ListedUploads(parsing: changed)
        _ = try? ListedParts(parsing: changed)
      }
    }
  }
}
