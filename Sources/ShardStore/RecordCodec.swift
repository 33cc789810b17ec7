// Sealing and opening of one account's records.
//
// An epoch has a log key of its own, drawn when it begins; the epoch's first record and every mark carry it, wrapped under
// the account's key for logs, so that redo from any mark needs the keyring alone. Nonces count up under a key that only
// one opening of one epoch ever uses, so none comes twice, also after a drop.

import AtRest
import Base
import Formats
import OpenSSL

/// Makes the records of one epoch. One thread at a time.
final class RecordSealer {
  let epoch: Epoch
  private let account: AccountID
  private let key: SecretBytes
  private let cipher: AESGCM
  private let wrap: AESGCM
  private var nonceCounter: UInt64 = 0
  private var effort = CompressionEffort()
  private var lastTime: UnixMicroseconds
  private let plain: Bool

  init(account: AccountID, epoch: Epoch, logWrap: SecretBytes, after time: UnixMicroseconds, plain: Bool) {
    self.account = account
    self.epoch = epoch
    key = SecretBytes.random(32)
    cipher = AESGCM(key: key)
    wrap = AESGCM(key: logWrap)
    lastTime = time
    self.plain = plain
  }

  /// The epoch's first record, or a mark.
  func keyRecord(_ kind: RecordKind, after previous: Position, commitIndex: LogIndex, time: UnixMicroseconds)
    -> SealedRecord
  {
    // Random, since this key is the account's and outlives the opening; there are few such records.
    let nonce = SystemRandom.bytes(12)
    return key.with { content in
      content.withUnsafeBytes {
        seal(
          kind, $0, with: wrap, nonce: nonce, continues: false, after: previous, commitIndex: commitIndex, time: time)
      }
    }
  }

  /// Names recordings that the records behind it make exist. Under the account's key, so that a replica reads it before
  /// it has stored, and opened, what comes before.
  func recordingsRecord(
    _ payload: RecordingsPayload, after previous: Position, commitIndex: LogIndex, time: UnixMicroseconds
  ) -> SealedRecord {
    let nonce = SystemRandom.bytes(12)
    return payload.encode().withUnsafeBytes {
      seal(
        .recordings, $0, with: wrap, nonce: nonce, continues: true, after: previous, commitIndex: commitIndex,
        time: time)
    }
  }

  /// `payload` as `PagesEncoder` wrote it.
  func pagesRecord(
    _ payload: [UInt8], continues: Bool, after previous: Position, commitIndex: LogIndex, time: UnixMicroseconds
  ) -> SealedRecord {
    nonceCounter += 1
    var w = ByteWriter(capacity: 12)
    w.put(nonceCounter)
    w.put(UInt32(0))
    let nonce = w.bytes
    // The thread's compressor, not one of ours: its tables stay in the processor's cache.
    return Zstd.compress(payload, level: effort.level) { content in
      effort.note(payload.count, content.count)
      return seal(
        .pages, content, with: cipher, nonce: nonce, continues: continues, after: previous, commitIndex: commitIndex,
        time: time)
    }
  }

  private func seal(
    _ kind: RecordKind, _ content: UnsafeRawBufferPointer, with cipher: AESGCM, nonce: [UInt8], continues: Bool,
    after previous: Position, commitIndex: LogIndex, time: UnixMicroseconds
  ) -> SealedRecord {
    lastTime = max(lastTime + 1, time)
    var header = RecordHeader(
      kind: kind, continues: continues, account: account, epoch: epoch, index: previous.index + 1,
      commitIndex: commitIndex, time: lastTime, payloadBytes: content.count + AESGCM.tagBytes, nonce: nonce,
      previous: previous.checksum)
    // One buffer: header, then the content, which is sealed where it lies.
    let end = RecordHeader.byteCount + content.count
    var frame = header.encode(capacity: end + AESGCM.tagBytes)
    frame.append(contentsOf: content)
    frame.append(contentsOf: repeatElement(0, count: AESGCM.tagBytes))
    if !plain {
      frame.withUnsafeMutableBytes { bytes in
        // The associated data lies before what is sealed.
        let aad = RawSpan(_unsafeStart: bytes.baseAddress!, byteCount: RecordHeader.sealedPrefix)
        var text = MutableRawSpan(
          _unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: bytes[RecordHeader.byteCount...]))
        cipher.sealInPlace(&text, text: 0..<content.count, tag: content.count, nonce: nonce.span.bytes, aad: aad)
      }
    }
    header.checksum = RecordCodec.checksum(frame, frame.span.bytes.extracting(RecordHeader.byteCount..<frame.count))
    RecordHeader.patch(&frame, checksum: header.checksum)
    return SealedRecord(header: header, frame: frame)
  }
}

/// Looks for little in records of an account whose last ones gave little: sealed or compressed values, mostly. One record
/// in up to sixteen is tried in earnest, so that an account whose rows change is noticed.
struct CompressionEffort {
  private var misses = 0
  private var left = 0

  /// zstd's level for the next record.
  var level: Int { left > 0 ? -5 : 1 }

  /// What the next record came to.
  mutating func note(_ bytes: Int, _ compressed: Int) {
    if left > 0 {
      left -= 1
    } else if compressed * 10 > bytes * 9 {
      misses = min(misses + 1, 4)
      left = 1 << misses - 1
    } else {
      misses = 0
    }
  }
}

enum RecordCodec {
  /// SHA-256 over the first 88 bytes of the header, which hold the checksum before, and the payload; 16 bytes of it.
  static func checksum(_ head: [UInt8], _ payload: RawSpan) -> Checksum {
    withUnsafeTemporaryAllocation(byteCount: 32, alignment: 16) { digest in
      var raw = MutableRawSpan(_unsafeBytes: digest)
      SHA256.hash(head.span.bytes.extracting(0..<RecordHeader.checkedPrefix), payload, into: &raw)
      return Checksum(bits: UInt128(littleEndian: digest.load(as: UInt128.self)))
    }
  }

  /// The record at the front of `bytes`; throws when there is none or it is not what was written.
  static func parse(_ bytes: ArraySlice<UInt8>) throws(FormatError) -> SealedRecord {
    let header = try RecordHeader(bytes.prefix(RecordHeader.byteCount))
    guard bytes.count >= header.frameBytes else {
      throw FormatError(.truncated, "a record of \(header.frameBytes) bytes, \(bytes.count) are left")
    }
    let frame = Array(bytes.prefix(header.frameBytes))
    guard checksum(frame, frame.span.bytes.extracting(RecordHeader.byteCount..<frame.count)) == header.checksum else {
      throw FormatError(.damaged, "record \(header.epoch).\(header.index) does not match its checksum")
    }
    return SealedRecord(header: header, frame: frame)
  }
}

/// Opens an account's records in the order of its log. One thread at a time.
final class RecordOpener {
  private let wrap: AESGCM
  private let decompressor = ZstdDecompressor()
  private var ciphers: [Epoch: AESGCM] = [:]
  private let plain: Bool

  init(logWrap: SecretBytes, plain: Bool) {
    wrap = AESGCM(key: logWrap)
    self.plain = plain
  }

  enum Content {
    case pages(PagesPayload)
    case mark
    case epoch
    case recordings(RecordingsPayload)
  }

  /// Whether records of `epoch` can be opened by now.
  func hasKey(of epoch: Epoch) -> Bool { ciphers[epoch] != nil }

  func open(_ record: SealedRecord) throws(StoreError) -> Content {
    let header = record.header
    func damaged(_ why: String) -> StoreError {
      StoreError(.damaged, "record \(header.epoch).\(header.index) \(why)")
    }
    let aad = Array(record.frame[..<RecordHeader.sealedPrefix])
    let sealed = Array(record.frame[RecordHeader.byteCount...])
    func unseal(_ cipher: AESGCM) -> [UInt8]? {
      plain ? Array(sealed.dropLast(16)) : cipher.open(sealed, nonce: header.nonce, aad: aad)
    }
    switch header.kind {
    case .epoch, .mark:
      guard var key = unseal(wrap), key.count == 32 else { throw damaged("does not open with the account's key") }
      ciphers[header.epoch] = AESGCM(key: SecretBytes(wiping: &key))
      return header.kind == .epoch ? .epoch : .mark
    case .recordings:
      guard let content = unseal(wrap) else { throw damaged("does not open with the account's key") }
      do { return .recordings(try RecordingsPayload(content)) } catch {
        throw damaged("names no recordings: \(error)")
      }
    case .pages:
      guard let cipher = ciphers[header.epoch] else { throw damaged("has no key: its epoch's first record is missing") }
      guard let content = unseal(cipher) else { throw damaged("does not open with its epoch's key") }
      do {
        return .pages(
          try PagesPayload(decompressor.decompress(content.span.bytes, limit: PagesPayload.byteCountMax)))
      } catch { throw damaged("holds no pages: \(error)") }
    }
  }
}
