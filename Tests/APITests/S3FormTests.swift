// Ranges, dates, conditions, paths and XML of the S3 port.

import API
import Base
import Foundation
import HTTPTypes
import SigV4
import Testing

@Suite struct S3FormTests {
  @Test(
    "one range of bytes is read as RFC 9110 says",
    arguments: [
      ("bytes=0-0", 0, 1), ("bytes=5-9", 5, 10), ("bytes=90-", 90, 100), ("bytes=-7", 93, 100), ("bytes=-1000", 0, 100),
      ("bytes=99-999999999999999999999999", 99, 100), ("Bytes=1-2", 1, 3),
    ])
  func ranges(_ field: String, _ start: Int, _ end: Int) {
    #expect(ByteRange.parse(field, size: 100) == .part(ByteRange(start: start, end: end)))
  }

  @Test(
    "nonsense, other units and several ranges are ignored",
    arguments: [
      "", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes=1-2,4-5", "lines=1-2", "bytes=+1-2",
      "bytes=1 -2",
    ])
  func ignored(_ field: String) {
    #expect(ByteRange.parse(field, size: 100) == .whole)
    #expect(ByteRange.parse(nil, size: 100) == .whole)
  }

  @Test("what begins behind the end cannot be satisfied")
  func unsatisfiable() {
    for field in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
      #expect(ByteRange.parse(field, size: 100) == .unsatisfiable)
    }
    #expect(ByteRange.parse("bytes=-5", size: 0) == .unsatisfiable)
  }

  @Test("a range lies inside the object, whatever is asked")
  func fuzzedRanges() {
    var random = SeededGenerator(seed: 2)
    let alphabet = Array("bytes=-0123456789, ".utf8)
    for _ in 0..<5000 {
      let text =
        "bytes="
        + String(decoding: (0..<random.below(12)).map { _ in alphabet[random.below(alphabet.count)] }, as: UTF8.self)
      let size = random.below(50)
      if case .part(let range) = ByteRange.parse(text, size: size) {
        #expect(range.start >= 0 && range.start < range.end && range.end <= size)
      }
    }
  }

  @Test("times are written and read as HTTP has them")
  func dates() {
    #expect(HTTPDate.text(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
    #expect(HTTPDate.text(0) == "Thu, 01 Jan 1970 00:00:00 GMT")
    for seconds: Int64 in [0, 951_782_399, 1_795_305_600, 4_102_444_799] {
      #expect(HTTPDate.parse(HTTPDate.text(seconds)) == seconds)
    }
    for text in [
      "", "yesterday", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
      "Sun, 31 Feb 1994 08:49:37 GMT",
    ] {
      #expect(HTTPDate.parse(text) == nil, "\(text)")
    }
  }

  private func conditions(_ name: HTTPField.Name, _ value: String) -> ObjectConditions {
    ObjectConditions([name: value])
  }

  private func status(_ body: () throws(S3Error) -> Void) -> Int? {
    do {
      try body()
      return nil
    } catch { return error.status.code }
  }

  @Test("conditions of a read give 304 and 412")
  func readConditions() {
    func read(_ name: HTTPField.Name, _ value: String) -> Int? {
      status { () throws(S3Error) in try conditions(name, value).checkRead(etag: "\"a\"", modified: 1000) }
    }
    #expect(read(.ifMatch, "\"a\"") == nil && read(.ifMatch, "*") == nil && read(.ifMatch, "\"b\", \"a\"") == nil)
    #expect(read(.ifMatch, "\"b\"") == 412 && read(.ifMatch, "") == 412)
    #expect(
      read(.ifNoneMatch, "\"a\"") == 304 && read(.ifNoneMatch, "W/\"a\"") == 304 && read(.ifNoneMatch, "a") == 304)
    #expect(read(.ifNoneMatch, "\"b\"") == nil)
    #expect(read(.ifModifiedSince, HTTPDate.text(1000)) == 304 && read(.ifModifiedSince, HTTPDate.text(999)) == nil)
    #expect(read(.ifUnmodifiedSince, HTTPDate.text(999)) == 412 && read(.ifUnmodifiedSince, HTTPDate.text(1000)) == nil)
    #expect(read(.ifModifiedSince, "nonsense") == nil)
  }

  @Test("conditions of a write look at what is there")
  func writeConditions() {
    func write(_ name: HTTPField.Name, _ value: String, _ etag: String?) -> Int? {
      status { () throws(S3Error) in try conditions(name, value).checkWrite(etag: etag) }
    }
    #expect(write(.ifNoneMatch, "*", nil) == nil && write(.ifNoneMatch, "*", "\"a\"") == 412)
    #expect(
      write(.ifMatch, "\"a\"", "\"a\"") == nil && write(.ifMatch, "\"a\"", "\"b\"") == 412
        && write(.ifMatch, "*", nil) == 404)
  }

  @Test("a path is split at its first slash and nowhere else")
  func paths() {
    for (path, bucket, key) in [
      ("/", "", ""), ("/b", "b", ""), ("/b/", "b", ""), ("/b/k", "b", "k"), ("/b//k/", "b", "/k/"),
      ("/b/../c", "b", "../c"),
      ("//k", "", "k"), ("/../k", "..", "k"),
    ] {
      #expect(ObjectPath(path).bucket == bucket && ObjectPath(path).key == key, "\(path)")
    }
  }

  @Test("text in XML is escaped")
  func escaping() {
    var xml = XMLText()
    xml.element("Key", "<a href=\"x\">&'\u{1}\n]]></a>")
    let text = String(decoding: xml.bytes, as: UTF8.self)
    #expect(text.hasSuffix("<Key>&lt;a href=&quot;x&quot;&gt;&amp;&apos;&#1;&#10;]]&gt;&lt;/a&gt;</Key>"))
  }

  @Test("a multi-delete is read, with escapes and blanks in its keys")
  func deletes() throws {
    let document = try DeleteDocument(
      xml: Array(
        """
        <?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
        <Object><Key>a&amp;b</Key></Object><Object><Key> two  blanks </Key></Object><Quiet>true</Quiet></Delete>
        """.utf8))
    #expect(document.keys == ["a&b", " two  blanks "] && document.isQuiet)
  }

  @Test(
    "what is no multi-delete is refused",
    arguments: [
      "", "<Delete/>", "<Delete><Object/></Delete>", "<Delete><Object><Key></Key></Object></Delete>", "{}",
      "<Delete><Object><Key>a</Key><VersionId>1</VersionId></Object></Delete>", "<Delete><Other/></Delete>",
      "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>", "<Object><Key>a</Key></Object>",
      "<a><b></a>",
      "<!DOCTYPE d [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><Delete><Object><Key>&e;</Key></Object></Delete>",
    ])
  func refusedDeletes(_ xml: String) {
    #expect(throws: S3Error.self) { try DeleteDocument(xml: Array(xml.utf8)) }
  }

  @Test("XML is read with references, prefixes, attributes and comments")
  func reading() throws {
    var reader = try XMLReader(
      Array("<?xml version='1.0'?><!-- c --><s:a x=\"<>\" y='/>'><b/>1&lt;&#50;&#x33;</s:a> ".utf8))
    var events: [XMLReader.Event] = []
    while let event = try reader.next() { events.append(event) }
    #expect(events == [.start("a"), .start("b"), .end("b"), .text("1<23"), .end("a")])
  }

  @Test(
    "what is not well-formed is refused",
    arguments: [
      "<a>", "<a></b>", "</a>", "<a", "<a b", "<a>&x;</a>", "<a>&#0;</a>", "<a>&#xD800;</a>", "<a>&#-1;</a>", "x<a/>",
      "<a/>x",
      "<é/>", "<:/>", "<a:b:c/>", "<![CDATA[x]]>", "<!DOCTYPE a>", "<? <a/>", "<!-- <a/>", "<a><<b/></a>",
      String(repeating: "<a>", count: 20) + String(repeating: "</a>", count: 20),
    ])
  func malformed(_ xml: String) {
    #expect(throws: XMLReader.Malformed.self) {
      var reader = try XMLReader(Array(xml.utf8))
      while try reader.next() != nil {}
    }
  }

  @Test("random changes of a multi-delete never trap")
  func fuzzedDeletes() {
    let seed = Array(
      "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object><Quiet>false</Quiet></Delete>".utf8)
    var random = SeededGenerator(seed: 5)
    var read = 0
    for _ in 0..<10_000 {
      var bytes = seed
      for _ in 0...random.below(3) {
        let at = random.below(bytes.count)
        if random.oneIn(2) { bytes[at] = UInt8(random.below(256)) } else { bytes.remove(at: at) }
      }
      if (try? DeleteDocument(xml: bytes)) != nil { read += 1 }
    }
    #expect(read > 0 && read < 10_000)
  }
}
