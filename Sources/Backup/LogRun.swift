// One file of the archived log, read and checked: header, key record, records. Whole in memory, which its size allows.

package import Base
package import Disk
package import Formats
import ShardStore

package struct LogRun: Sendable, Equatable {
  package let header: LogRunHeader
  package let path: String

  package init(header: LogRunHeader, path: String) {
    self.header = header
    self.path = path
  }

  /// What a run holds.
  package struct Content: Sendable {
    /// Carries the key of the first record's epoch; nil when that record does so itself.
    package var key: SealedRecord?
    /// In order, a chain.
    package var records: [SealedRecord]
  }

  /// Reads the header, and whether the file is as long as it says. `.damaged` names the place.
  package static func open(_ path: String, disk: any Disk, account: AccountID) throws(BackupError) -> LogRun {
    let (bytes, size) = try onDisk { () throws(DiskError) in
      let file = try disk.open(path, .read)
      return (try file.read(LogRunHeader.byteCount, at: 0), try file.size())
    }
    let header = try decoding(path) { () throws(BytesError) in try LogRunHeader(decoding: bytes[...]) }
    guard header.account == account, path.hasSuffix("/\(LogRunHeader.fileName(first: header.first))") else {
      throw BackupError(.damaged, "the archived log is of another account or has another name", path: path, offset: 8)
    }
    guard size == UInt64(header.fileBytes) else {
      throw BackupError(
        .damaged, "the archived log has \(size) bytes instead of \(header.fileBytes)", path: path,
        offset: min(Int(clamping: size), header.fileBytes))
    }
    return LogRun(header: header, path: path)
  }

  /// Everything of the file, each byte compared with its checksum. `.damaged` names the record's place.
  package func read(_ disk: any Disk) throws(BackupError) -> Content {
    let limit = LogRunHeader.byteCount + RecordHeader.byteCount + Limits.recordBytesMax + Limits.archivedLogBytesMax
    let bytes = try onDisk { () throws(DiskError) in try disk.readAll(path, limit: limit) }
    return try LogRun.parse(bytes, path: path, account: header.account).content
  }

  /// What `bytes`, the whole file at `path`, hold.
  package static func parse(_ bytes: [UInt8], path: String, account: AccountID) throws(BackupError)
    -> (header: LogRunHeader, content: Content)
  {
    let header = try decoding(path) { () throws(BytesError) in
      try LogRunHeader(decoding: bytes.prefix(LogRunHeader.byteCount))
    }
    func damaged(_ message: String, at offset: Int) -> BackupError {
      BackupError(.damaged, message, path: path, offset: offset)
    }
    guard header.account == account else { throw damaged("the archived log is of another account", at: 8) }
    guard bytes.count == header.fileBytes else {
      throw damaged(
        "the archived log has \(bytes.count) bytes instead of \(header.fileBytes)",
        at: min(bytes.count, header.fileBytes))
    }
    var rest = bytes.dropFirst(LogRunHeader.byteCount)
    func next() throws(BackupError) -> SealedRecord {
      let at = rest.startIndex
      do throws(FormatError) {
        let record = try Engine.parse(rest)
        guard record.header.account == account else {
          throw FormatError(.damaged, "the record is of another account")
        }
        rest = rest.dropFirst(record.frame.count)
        return record
      } catch { throw damaged(error.message, at: at) }
    }
    var content = Content(key: nil, records: [])
    if header.keyBytes > 0 {
      let key = try next()
      guard key.frame.count == header.keyBytes, key.header.carriesKey else {
        throw damaged("no key record lies in front", at: LogRunHeader.byteCount)
      }
      content.key = key
    }
    var (index, previous) = (header.first, header.previous)
    while !rest.isEmpty {
      let at = rest.startIndex
      let record = try next()
      guard record.header.index == index, record.header.previous == previous else {
        throw damaged("record \(record.position) does not follow the one before", at: at)
      }
      content.records.append(record)
      (index, previous) = (index + 1, record.header.checksum)
    }
    guard let first = content.records.first, let last = content.records.last, last.position == header.end,
      first.header.time == header.firstTime, last.header.time == header.lastTime
    else { throw damaged("the records are not those that the header names", at: 24) }
    guard first.header.carriesKey || content.key?.header.epoch == first.header.epoch else {
      throw damaged("no key of epoch \(first.header.epoch) lies in front", at: LogRunHeader.byteCount)
    }
    return (header, content)
  }

  /// The file's bytes. `records` is not empty and a chain; `key` is needed unless the first record carries one.
  package static func encode(_ records: [SealedRecord], key: SealedRecord?, previousTime: UnixMicroseconds) -> [UInt8] {
    let (first, last) = (records[0].header, records[records.count - 1].header)
    let key = first.carriesKey ? nil : key
    precondition(first.carriesKey || key?.header.epoch == first.epoch, "a run opens by itself")
    let frameBytes = records.reduce(0) { $0 + $1.frame.count }
    let header = LogRunHeader(
      account: first.account, first: first.index, last: last.position, previous: first.previous,
      previousTime: previousTime, firstTime: first.time, lastTime: last.time, records: records.count,
      keyBytes: key?.frame.count ?? 0, frameBytes: UInt64(frameBytes))
    var w = ByteWriter(capacity: header.fileBytes)
    w.put(raw: header.encode())
    if let key { w.put(raw: key.frame) }
    for record in records { w.put(raw: record.frame) }
    return w.bytes
  }
}
