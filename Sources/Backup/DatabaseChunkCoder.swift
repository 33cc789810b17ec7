// A group of database pages to the body of a pack's frame and back: zstd where that helps, then AES-256-GCM.
//
// Body: nonce 12, cipher text, tag 16. Associated data: "KPAK", version, account, kind, coding, original length, name;
// so a chunk opens only as what it is, under its own name, in its own account's archive.

import AtRest
import Base
package import Formats
import OpenSSL

package struct DatabaseChunkCoder: Sendable {
  package let keys: ArchiveKeys
  static let zstdLevel = 1

  package init(keys: ArchiveKeys) { self.keys = keys }

  /// Zeroes what SQLite does not use at the end of each page: the seal there differs from replica to replica.
  package static func zeroReserved(_ pages: inout [UInt8]) {
    precondition(pages.count % Limits.pageBytes == 0, "whole pages only")
    var end = Limits.pageBytes
    while end <= pages.count {
      for i in (end - Limits.pageReservedBytes)..<end { pages[i] = 0 }
      end += Limits.pageBytes
    }
  }

  /// A whole frame, its bytes named `name`.
  package func frame(_ pages: [UInt8], name: ChunkName) throws(BackupError) -> [UInt8] {
    var coding = PackCoding.zstd
    var coded = Zstd.compress(pages, level: Self.zstdLevel)
    if coded.count >= pages.count {
      coding = .stored
      coded = pages
    }
    let nonce = SystemRandom.bytes(AESGCM.nonceBytes)
    let aad = associatedData(coding: coding, originalBytes: pages.count, name: name)
    let body = nonce + keys.cipher(for: name).seal(coded, nonce: nonce, aad: aad)
    return PackFrameHeader.frame(
      kind: .database, coding: coding, originalBytes: pages.count, name: name, body: body)
  }

  /// The pages in `body`; nil when seal, coding or content is not what `header` names.
  package func open(_ header: PackFrameHeader, body: ArraySlice<UInt8>) -> [UInt8]? {
    guard header.kind == .database, body.count >= AESGCM.nonceBytes + AESGCM.tagBytes else { return nil }
    let nonce = Array(body.prefix(AESGCM.nonceBytes))
    let aad = associatedData(coding: header.coding, originalBytes: header.originalBytes, name: header.name)
    let cipher = keys.cipher(for: header.name)
    guard let coded = cipher.open(Array(body.dropFirst(AESGCM.nonceBytes)), nonce: nonce, aad: aad) else { return nil }
    guard let pages = Self.decode(coded, header), pages.count == header.originalBytes,
      keys.name(ofDatabase: pages) == header.name
    else { return nil }
    return pages
  }

  /// Whether the seal of the body that lies in `place` holds; the bytes there are something else afterwards. It says
  /// nothing of the content, which whoever asks has seen decoded before.
  func authenticate(_ header: PackFrameHeader, _ bytes: inout [UInt8], body place: Range<Int>) -> Bool {
    guard header.kind == .database, place.count >= AESGCM.nonceBytes + AESGCM.tagBytes else { return false }
    let text = (place.lowerBound + AESGCM.nonceBytes)..<(place.upperBound - AESGCM.tagBytes)
    let nonce = Array(bytes[place.lowerBound..<text.lowerBound])
    let aad = associatedData(coding: header.coding, originalBytes: header.originalBytes, name: header.name)
    let cipher = keys.cipher(for: header.name)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    return cipher.openInPlace(
      &raw, text: text, tag: text.upperBound, nonce: nonce.span.bytes, aad: aad.span.bytes)
  }

  private static func decode(_ coded: [UInt8], _ header: PackFrameHeader) -> [UInt8]? {
    switch header.coding {
    case .stored: coded
    case .zstd: try? Zstd.decompress(coded, limit: header.originalBytes)
    case .own: nil
    }
  }

  private func associatedData(coding: PackCoding, originalBytes: Int, name: ChunkName) -> [UInt8] {
    var writer = ByteWriter(capacity: 64)
    writer.put(raw: PackHeader.magic.utf8)
    writer.put(PackHeader.version)
    writer.put(keys.account)
    writer.put(PackChunkKind.database.rawValue)
    writer.put(coding.rawValue)
    writer.put(UInt32(originalBytes))
    writer.put(raw: name.bytes)
    return writer.bytes
  }
}
