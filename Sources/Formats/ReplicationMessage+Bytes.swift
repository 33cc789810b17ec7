// The bytes of a replication message; the table is in Formats.docc/replication.md.

import Base

extension ReplicationMessage {
  /// Traps on a message over the limits: the sender chose what goes in.
  public func encode() -> [UInt8] {
    switch self {
    case .append(let m):
      precondition(m.records.count <= ReplicationLimits.recordsMax, "\(m.records.count) records in a message")
      let bytes = m.records.reduce(0) { $0 + $1.frame.count }
      precondition(
        bytes <= ReplicationLimits.recordsBytesMax || m.records.count == 1, "\(bytes) bytes of records in a message")
      var w = Self.writer(kind: 0, m.account, m.epoch, flag: m.asks, capacity: Self.appendBytes + bytes)
      w.put(m.previous)
      w.put(m.commit)
      w.put(m.echo)
      w.put(UInt16(m.records.count))
      for record in m.records { w.put(raw: record.frame) }
      return w.bytes
    case .ack(let m):
      var w = Self.writer(kind: 1, m.account, m.epoch, flag: m.asks, capacity: 96)
      w.put(m.synced)
      w.put(m.end)
      w.put(m.applied)
      w.put(m.sentAt)
      return w.bytes
    case .refuse(let m):
      var w = Self.writer(kind: 2, m.account, m.epoch, flag: false, capacity: 104)
      w.put(m.previous)
      w.put(m.end)
      w.put(m.committed)
      w.put(m.why.rawValue)
      return w.bytes
    case .base(let m):
      var w = Self.writer(kind: 3, m.account, m.epoch, flag: false, capacity: 40)
      w.put(m.from)
      return w.bytes
    }
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count <= ReplicationLimits.messageBytesMax else {
      throw FormatError(.limit, "a replication message of \(bytes.count) bytes")
    }
    var r = OwnershipReader(bytes)
    try r.takeVersion(Self.version, of: "replication message")
    let kind: UInt8 = try r.take()
    let flag = try r.takeFlag()
    let account = try r.takeAccount()
    let epoch = try r.takeEpoch()
    guard !flag || kind < 2 else { throw FormatError(.damaged, "a flag on a message of kind \(kind)", at: 2) }
    switch kind {
    case 0:
      var append = Append(
        account: account, epoch: epoch, previous: try r.takePosition(), commit: try r.takeEpoch(),
        echo: try r.take(), asks: flag)
      append.records = try Self.records(&r, of: append, in: bytes)
      self = .append(append)
      return
    case 1:
      self = .ack(
        Ack(
          account: account, epoch: epoch, synced: try r.takePosition(), end: try r.takeEpoch(),
          applied: try r.takeEpoch(), sentAt: try r.take(), asks: flag))
    case 2:
      let previous = try r.takeEpoch()
      let (end, committed) = (try r.takePosition(), try r.takePosition())
      guard let why = Refusal.Reason(rawValue: try r.take()) else {
        throw FormatError(.damaged, "unknown reason", at: r.offset - 1)
      }
      self = .refuse(
        Refusal(account: account, epoch: epoch, previous: previous, end: end, committed: committed, why: why))
    case 3: self = .base(Base(account: account, epoch: epoch, from: try r.takeEpoch()))
    default: throw FormatError(.damaged, "replication message of kind \(kind)", at: 1)
    }
    try r.finish()
  }

  private static func writer(
    kind: UInt8, _ account: AccountID, _ epoch: Epoch, flag: Bool, capacity: Int
  ) -> ByteWriter {
    var w = ByteWriter(capacity: capacity)
    w.put(version)
    w.put(kind)
    w.put(UInt8(flag ? 1 : 0))
    w.put(account)
    w.put(epoch)
    return w
  }

  private static func records(
    _ r: inout OwnershipReader, of append: Append, in bytes: [UInt8]
  ) throws(FormatError) -> [SealedRecord] {
    let count = try r.takeCount(limit: ReplicationLimits.recordsMax, entryBytes: RecordHeader.byteCount)
    guard count <= 1 || bytes.count - r.offset <= ReplicationLimits.recordsBytesMax else {
      throw FormatError(.limit, "\(bytes.count - r.offset) bytes of records", at: r.offset)
    }
    var records: [SealedRecord] = []
    records.reserveCapacity(count)
    var (offset, last) = (r.offset, append.previous)
    for _ in 0..<count {
      let header = try RecordHeader(bytes[offset...])
      let end = offset + header.frameBytes
      guard end <= bytes.count else { throw FormatError(.truncated, "a record ends early", at: offset) }
      guard header.account == append.account, header.index == last.index + 1, header.previous == last.checksum,
        header.epoch >= last.epoch, header.epoch <= append.epoch
      else { throw FormatError(.damaged, "\(header.position) does not follow \(last)", at: offset) }
      records.append(SealedRecord(header: header, frame: Array(bytes[offset..<end])))
      (offset, last) = (end, header.position)
    }
    guard offset == bytes.count else {
      throw FormatError(.damaged, "\(bytes.count - offset) bytes too many", at: offset)
    }
    return records
  }
}

extension ByteWriter {
  fileprivate mutating func put(_ position: Position) {
    put(position.epoch)
    put(position.index)
    put(position.checksum)
  }
}

extension OwnershipReader {
  fileprivate mutating func takePosition() throws(FormatError) -> Position {
    Position(epoch: try takeEpoch(), index: try takeEpoch(), checksum: Checksum(bits: try take(UInt128.self)))
  }
}
