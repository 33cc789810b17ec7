// Documents and fields of the S3 port: parts, tags, copy sources, what is kept of an object.

import API
import Base
import HTTPTypes
import SigV4
import Testing

@Suite struct S3DocumentTests {
  private func code(_ body: () throws -> Void) -> String? {
    do {
      try body()
      return nil
    } catch { return (error as? S3Error)?.code ?? "another error" }
  }

  private func complete(_ parts: String) throws -> CompleteDocument {
    try CompleteDocument(
      xml: Array("<CompleteMultipartUpload xmlns=\"x\">\(parts)</CompleteMultipartUpload>".utf8))
  }

  @Test("a list of parts is read with ETags and checksums, in quotes or without")
  func parts() throws {
    let document = try complete(
      """
      <Part><PartNumber>1</PartNumber><ETag>&quot;aa&quot;</ETag><ChecksumSHA256>s=</ChecksumSHA256></Part>
      <Part><ETag>bb</ETag><PartNumber> 10000 </PartNumber></Part>
      """)
    #expect(document.parts.map(\.number) == [1, 10_000] && document.parts.map(\.etag) == ["aa", "bb"])
    #expect(document.parts[0].checksum?.algorithm == .sha256 && document.parts[0].checksum?.value == "s=")
    #expect(document.parts[1].checksum == nil)
  }

  @Test("a list of parts that is none is refused")
  func badParts() {
    for (text, wanted) in [
      ("", "MalformedXML"), ("<Part><ETag>a</ETag></Part>", "MalformedXML"),
      ("<Part><PartNumber>0</PartNumber></Part>", "MalformedXML"),
      ("<Part><PartNumber>10001</PartNumber></Part>", "MalformedXML"),
      ("<Part><PartNumber>1</PartNumber><Other>x</Other></Part>", "MalformedXML"),
      (
        "<Part><PartNumber>2</PartNumber></Part><Part><PartNumber>2</PartNumber></Part>", "InvalidPartOrder"
      ),
    ] { #expect(code { _ = try complete(text) } == wanted, "\(text)") }
  }

  @Test("documents of any bytes are read or refused, never worse")
  func fuzz() {
    var random = SeededGenerator(seed: 7)
    let seeds = [
      "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag></Part></CompleteMultipartUpload>",
      "<Tagging><TagSet><Tag><Key>a</Key><Value>&lt;b</Value></Tag></TagSet></Tagging>",
      "<Delete><Object><Key>a</Key></Object><Quiet>true</Quiet></Delete>",
    ].map { Array($0.utf8) }
    var read = 0
    for round in 0..<20_000 {
      var bytes = seeds[round % 3]
      for _ in 0..<random.below(4) where !bytes.isEmpty {
        switch random.below(3) {
        case 0: bytes[random.below(bytes.count)] = UInt8(random.below(256))
        case 1: bytes.removeSubrange(random.below(bytes.count)..<bytes.count)
        default:
          bytes.insert(contentsOf: seeds[random.below(3)].prefix(random.below(30)), at: random.below(bytes.count))
        }
      }
      if (try? CompleteDocument(xml: bytes)) != nil { read += 1 }
      if (try? ObjectTags(xml: bytes)) != nil { read += 1 }
      if (try? DeleteDocument(xml: bytes)) != nil { read += 1 }
    }
    #expect(read > 1000 && read < 20_000)
  }

  @Test("tags are the same as a field, as XML, and as they are kept")
  func tags() throws {
    let tags = try ObjectTags(header: "agent=%D0%86%D0%B2%D0%B0%D0%BD+1&empty=&a%26b=c%3Dd&alone")
    #expect(tags.pairs.map(\.name) == ["agent", "empty", "a&b", "alone"])
    #expect(tags.pairs.map(\.value) == ["Іван 1", "", "c=d", ""])
    #expect(try ObjectTags(header: tags.header) == tags && ObjectTags(xml: tags.document.bytes) == tags)
    #expect(code { _ = try ObjectTags(header: "a=%zz") } == "InvalidArgument")
    #expect(code { _ = try ObjectTags(header: "a=%ff") } == "InvalidArgument")
    #expect(code { _ = try ObjectTags(header: "=v") } == "InvalidTag")
    #expect(code { _ = try ObjectTags(header: "a=1&a=2") } == "InvalidTag")
  }

  @Test("the source of a copy is a bucket and a key, decoded once")
  func copySource() throws {
    for text in ["/b/k%C3%A9%2F+%25", "b/k%C3%A9%2F+%25"] {
      let source = try CopySource(text)
      #expect(source.bucket == "b" && source.key == "ké/+%")
    }
    #expect(try CopySource("b/../other/k").key == "../other/k")
    for (text, wanted) in [
      ("", "InvalidArgument"), ("/", "InvalidArgument"), ("b", "InvalidArgument"), ("b/", "InvalidArgument"),
      ("/b/%zz", "InvalidArgument"), ("/b/%ff", "InvalidArgument"), ("/b/k?versionId=1", "NotImplemented"),
    ] { #expect(code { _ = try CopySource(text) } == wanted, "\(text)") }
  }

  @Test("what is kept of an object comes back, and a client cannot write what is the service's")
  func metadata() throws {
    var metadata = ObjectMetadata()
    metadata.values = ["a": "\"quoted\"", "b": ""]
    metadata.fields = ["cache-control": "no-store"]
    metadata.tags = try ObjectTags(header: "x=y%26z")
    metadata.etag = "abc-3"
    metadata.parts = [5 << 20, 5 << 20, 7]
    metadata.checksum = ObjectChecksum(.crc32, [0, 1, 2, 3])
    #expect(ObjectMetadata(json: metadata.json) == metadata)
    #expect(metadata.json.contains("5242880*2,7"))
    #expect(ObjectMetadata(json: "{}") == ObjectMetadata() && ObjectMetadata(json: "nonsense") == ObjectMetadata())
    let reply = metadata.replyFields
    #expect(reply[.cacheControl] == "no-store" && reply[HTTPField.Name("x-amz-meta-a")!] == "\"quoted\"")
    #expect(reply.contains { $0.name.canonicalName.contains("komora") } == false)
    #expect(HTTPField.Name("x-amz-meta-komora:etag") == nil)
  }

  @Test("sizes of parts that a damaged row names give no parts instead of a trap")
  func damagedParts() {
    for text in ["1*99999999999", "1*-1", "-5", "a", "1*2*3", "9223372036854775807*10001"] {
      let json = "{\"komora:parts\":\"\(text)\"}"
      #expect(ObjectMetadata(json: json).parts.isEmpty, "\(text)")
    }
  }

  @Test("a checksum of checksums says of how many")
  func composite() {
    let checksum = ObjectChecksum(composite: .sha256, of: [[1], [2]])
    #expect(checksum.value.hasSuffix("-2") && checksum.scope == .composite)
    #expect(ObjectChecksum(text: checksum.text) == checksum)
    #expect(ObjectChecksum(text: "md5:FULL_OBJECT:x") == nil && ObjectChecksum(text: "") == nil)
  }
}
