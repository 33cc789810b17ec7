// What a node answers to account requests. Layout: Formats.docc/account-requests.md.

public import Base

/// What one statement gave. Rows are kept as they travel: one after the other, each with a value per column.
public struct AccountResult: Equatable, Sendable {
  public var columns: [String]
  public var rowCount: UInt32
  public var rowBytes: [UInt8]
  public var affectedRows: Int64
  public var lastInsertRowID: Int64?

  public init(
    columns: [String] = [], rowCount: UInt32 = 0, rowBytes: [UInt8] = [], affectedRows: Int64 = 0,
    lastInsertRowID: Int64? = nil
  ) {
    self.columns = columns
    self.rowCount = rowCount
    self.rowBytes = rowBytes
    self.affectedRows = affectedRows
    self.lastInsertRowID = lastInsertRowID
  }

  public func rows() throws(FormatError) -> [[AccountValue]] {
    var reader = AccountReader(rowBytes[...])
    guard Int(rowCount) * columns.count <= rowBytes.count, !columns.isEmpty || rowCount == 0 else {
      throw FormatError(.limit, "\(rowCount) rows in \(rowBytes.count) bytes")
    }
    var rows: [[AccountValue]] = []
    rows.reserveCapacity(Int(rowCount))
    for _ in 0..<rowCount {
      var row: [AccountValue] = []
      row.reserveCapacity(columns.count)
      for _ in columns { row.append(try AccountValue(&reader)) }
      rows.append(row)
    }
    try reader.finish()
    return rows
  }
}

public struct AccountFailure: Equatable, Sendable {
  /// The request may have been applied.
  public var isUnknown: Bool
  /// The same request may succeed later without anybody acting.
  public var isRetryable: Bool
  /// SQLite's name, or one of ours.
  public var code: String
  public var message: String

  public init(isUnknown: Bool, isRetryable: Bool, code: String, message: String) {
    self.isUnknown = isUnknown
    self.isRetryable = isRetryable
    self.code = code
    self.message = message
  }
}

/// A message of the node.
public enum AccountResponse: Equatable, Sendable {
  /// To a hello whose token holds.
  case welcome(node: NodeID, name: String)
  case done(id: UInt32, position: LogPlace, results: [AccountResult])
  case failed(id: UInt32, AccountFailure)
  /// Another node leads the account; nothing was done.
  case elsewhere(id: UInt32, node: NodeID, address: String)

  /// With its length in front.
  public func encode() -> [UInt8] {
    var writer = ByteWriter(capacity: 256)
    writer.put(UInt32(0))
    switch self {
    case .welcome(let node, let name):
      writer.put(UInt8(1))
      writer.put(AccountRequestLimits.version)
      writer.put(node)
      writer.put(fitting: name, lengthOf: UInt8.self)
    case .done(let id, let position, let results):
      writer.put(UInt8(2))
      writer.put(id)
      position.encode(to: &writer)
      Self.encode(results, to: &writer)
    case .failed(let id, let failure):
      writer.put(UInt8(3))
      writer.put(id)
      writer.put(UInt8(failure.isUnknown ? 1 : 0))
      writer.put(UInt8(failure.isRetryable ? 1 : 0))
      writer.put(fitting: failure.code, lengthOf: UInt8.self)
      writer.put(fitting: failure.message, lengthOf: UInt16.self)
    case .elsewhere(let id, let node, let address):
      writer.put(UInt8(4))
      writer.put(id)
      writer.put(node)
      writer.put(fitting: address, lengthOf: UInt8.self)
    }
    return writer.asMessage()
  }

  /// `done`, with results that are encoded already.
  public static func done(id: UInt32, position: LogPlace, results: [UInt8]) -> [UInt8] {
    var writer = ByteWriter(capacity: 32 + results.count)
    writer.put(UInt32(0))
    writer.put(UInt8(2))
    writer.put(id)
    position.encode(to: &writer)
    writer.put(raw: results)
    return writer.asMessage()
  }

  /// A message without its length.
  public init(decoding message: ArraySlice<UInt8>) throws(FormatError) {
    var reader = AccountReader(message)
    switch try reader.take(UInt8.self) {
    case 1:
      let version: UInt8 = try reader.take()
      guard version == AccountRequestLimits.version else {
        throw FormatError(.version, "account requests version \(version)", at: 1)
      }
      self = .welcome(node: try reader.takeNode(), name: try reader.takeShort())
    case 2:
      let id: UInt32 = try reader.take()
      let position = LogPlace(epoch: try reader.take(), index: try reader.take())
      self = .done(id: id, position: position, results: try Self.results(&reader))
    case 3:
      let id: UInt32 = try reader.take()
      self = .failed(
        id: id,
        AccountFailure(
          isUnknown: try reader.takeFlag(), isRetryable: try reader.takeFlag(), code: try reader.takeShort(),
          message: try reader.takeLong()))
    case 4:
      self = .elsewhere(id: try reader.take(), node: try reader.takeNode(), address: try reader.takeShort())
    case let kind: throw FormatError(.damaged, "reply of kind \(kind)", at: 0)
    }
    try reader.finish()
  }

  // MARK: results

  /// Results as they are kept for an idempotency key.
  public static func encode(_ results: [AccountResult]) -> [UInt8] {
    var writer = ByteWriter(capacity: 256)
    encode(results, to: &writer)
    return writer.bytes
  }

  public static func results(_ bytes: [UInt8]) throws(FormatError) -> [AccountResult] {
    var reader = AccountReader(bytes[...])
    let results = try results(&reader)
    try reader.finish()
    return results
  }

  private static func encode(_ results: [AccountResult], to writer: inout ByteWriter) {
    writer.put(UInt16(results.count))
    for result in results {
      writer.put(result.affectedRows)
      writer.put(UInt8(result.lastInsertRowID == nil ? 0 : 1))
      writer.put(result.lastInsertRowID ?? 0)
      writer.put(UInt16(result.columns.count))
      for column in result.columns { writer.put(fitting: column, lengthOf: UInt16.self) }
      writer.put(result.rowCount)
      writer.put(string: result.rowBytes)
    }
  }

  private static func results(_ reader: inout AccountReader) throws(FormatError) -> [AccountResult] {
    var results: [AccountResult] = []
    for _ in 0..<(try reader.takeCount(AccountRequestLimits.statementsMax, entryBytes: 27)) {
      var result = AccountResult(affectedRows: try reader.take())
      let hasRowID = try reader.takeFlag()
      let rowID: Int64 = try reader.take()
      result.lastInsertRowID = hasRowID ? rowID : nil
      for _ in 0..<(try reader.takeCount(65_535, entryBytes: 2)) { result.columns.append(try reader.takeLong()) }
      result.rowCount = try reader.take()
      let count = try reader.takeLength(AccountRequestLimits.messageBytesMax)
      result.rowBytes = Array(try reader.takeRaw(count))
      results.append(result)
    }
    return results
  }
}
