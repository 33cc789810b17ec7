// The limits rely on each other; these are the relations.

import Base
import Testing

struct LimitsTests {
  @Test("a record of the most pages, with their numbers and seals, fits the largest record")
  func records() {
    // Per page at most: its bytes uncompressed, its number, a hash, a length; then the header of the record.
    let payload = Limits.recordPagesMax * (Limits.pageBytes + 32) + 4096
    #expect(payload <= Limits.recordBytesMax)
    #expect(Limits.recordBytesMax + Limits.logBlockBytes <= Limits.logFileBytesDefault)
    #expect(Limits.recordBytesMax <= Limits.segmentBytesDefault)
  }

  @Test("log files, pages and chunks are whole numbers of a disk's blocks")
  func blocks() {
    for bytes in [Limits.pageBytes, Limits.logFileBytesDefault, Limits.recordBytesMax, Limits.recordingChunkBytes] {
      #expect(bytes % Limits.logBlockBytes == 0)
    }
    #expect(Limits.logBlockBytes.nonzeroBitCount == 1)
  }

  @Test("a page keeps room for its seal: key id, nonce, tag")
  func pageSeal() {
    #expect(Limits.pageReservedBytes == 4 + 12 + 16)
    // SQLite stores the reserved size in one byte and needs 480 usable bytes.
    #expect(Limits.pageReservedBytes <= 255 && Limits.pageBytes - Limits.pageReservedBytes >= 480)
  }

  @Test("a database of the most pages is 16 GiB and has page numbers that fit")
  func pages() {
    #expect(Limits.databasePagesMax * Limits.pageBytes == 16 << 30)
    #expect(Limits.databasePagesMax <= Int(PageNumber.max))
    #expect(Limits.transactionPagesMax * Limits.pageBytes == 256 << 20)
    #expect(Limits.transactionPagesMax <= Limits.databasePagesMax)
    #expect(Limits.snapshotGroupPages <= Limits.recordPagesMax)
  }

  @Test("the largest recording has 20,480 chunks, and one fits a volume")
  func recordings() {
    #expect(Limits.recordingBytesMax == 20_480 * Limits.recordingChunkBytes)
    #expect(Limits.sealedChunkBytesMax > Limits.recordingChunkBytes)
    #expect(Limits.sealedChunkBytesMax < Limits.volumeBytesDefault)
    #expect(Limits.sealedChunkBytesMax < Limits.packBytesDefault)
  }

  @Test("a manifest of the most chunks of 44 bytes fits")
  func manifests() {
    let databaseChunks = Limits.databasePagesMax / Limits.snapshotGroupPages
    #expect((5_000_000 + databaseChunks) * 44 <= Limits.manifestBytesMax)
  }

  @Test("a reply that is kept for an idempotency key fits a record, and a value fits a transaction")
  func replies() {
    #expect(Limits.idempotencyReplyBytesMax + Limits.idempotencyKeyBytesMax < Limits.recordBytesMax)
    #expect(Limits.sqlValueBytesMax < Limits.transactionPagesMax * Limits.pageBytes)
    #expect(Limits.accountNameBytes == 3...63)
  }
}
