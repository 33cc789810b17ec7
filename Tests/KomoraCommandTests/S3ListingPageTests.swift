// A page of a listing, as the S3 port writes it.

import Testing
import komora

@Suite("S3 listing")
struct S3ListingPageTests {
  @Test("keys, sizes, tags and the next token")
  func page() throws {
    let xml = """
      <?xml version="1.0" encoding="UTF-8"?>
      <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>acme</Name>\
      <IsTruncated>true</IsTruncated><NextContinuationToken>a2E=</NextContinuationToken>\
      <Contents><Key>a%20b/%C3%A9%3CContents%3E.wav</Key>\
      <ETag>"d41d8cd98f00b204e9800998ecf8427e"</ETag><Size>12</Size></Contents>\
      <Contents><Key>c</Key><ETag>&quot;00&quot;</ETag><Size>0</Size></Contents></ListBucketResult>
      """
    let page = try S3ListingPage(parsing: Array(xml.utf8))
    #expect(page.nextToken == "a2E=")
    #expect(page.objects["a b/é<Contents>.wav"] == .init(bytes: 12, etag: "d41d8cd98f00b204e9800998ecf8427e"))
    #expect(page.objects["c"] == .init(bytes: 0, etag: "00"))
    #expect(page.objects.count == 2)
  }

  @Test("what is no listing is refused", arguments: ["", "<html></html>", "{}"])
  func noListing(_ text: String) {
    #expect(throws: CommandFailure.self) { try S3ListingPage(parsing: Array(text.utf8)) }
  }
}
