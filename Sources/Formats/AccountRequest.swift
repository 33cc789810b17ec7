// What a program asks about an account over the fabric. Layout: Formats.docc/account-requests.md.

import Base

public struct AccountStatement: Equatable, Sendable {
  public var sql: String
  public var arguments: [AccountValue]

  public init(_ sql: String, _ arguments: [AccountValue] = []) {
    self.sql = sql
    self.arguments = arguments
  }
}

public struct AccountRequest: Equatable, Sendable {
  /// Names the reply; chosen by the asker.
  public var id: UInt32
  /// From the moment it is sent.
  public var deadlineMilliseconds: UInt32
  /// The account's name.
  public var account: String
  /// Empty for none.
  public var idempotencyKey: String
  /// Everything up to this position is to be seen, wherever the answer comes from; `start` asks for nothing.
  public var atLeast: LogPlace
  /// The answer may be so old; 0 asks for the newest.
  public var stalenessMilliseconds: UInt32
  /// More than one run as one transaction.
  public var statements: [AccountStatement]

  public init(
    id: UInt32, deadlineMilliseconds: UInt32, account: String, idempotencyKey: String = "",
    atLeast: LogPlace = .start, stalenessMilliseconds: UInt32 = 0, statements: [AccountStatement]
  ) {
    self.id = id
    self.deadlineMilliseconds = deadlineMilliseconds
    self.account = account
    self.idempotencyKey = idempotencyKey
    self.atLeast = atLeast
    self.stalenessMilliseconds = stalenessMilliseconds
    self.statements = statements
  }
}

/// A message of the asker.
public enum AccountQuestion: Equatable, Sendable {
  /// The first one: whose requests follow.
  case hello(token: String)
  case request(AccountRequest)

  /// With its length in front; refused when something is longer than the layout has room for.
  public func encode() throws(FormatError) -> [UInt8] {
    var writer = ByteWriter(capacity: 256)
    writer.put(UInt32(0))
    switch self {
    case .hello(let token):
      guard token.utf8.count <= AccountRequestLimits.tokenBytesMax else { throw FormatError(.limit, "token too long") }
      writer.put(UInt8(1))
      writer.put(AccountRequestLimits.version)
      writer.put(fitting: token, lengthOf: UInt16.self)
    case .request(let request):
      writer.put(UInt8(2))
      try request.encode(to: &writer)
    }
    guard writer.bytes.count - 4 <= AccountRequestLimits.messageBytesMax else {
      throw FormatError(.limit, "a request of \(writer.bytes.count) bytes")
    }
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
      let token = try reader.takeLong()
      guard token.utf8.count <= AccountRequestLimits.tokenBytesMax else { throw FormatError(.limit, "token", at: 2) }
      self = .hello(token: token)
    case 2: self = .request(try AccountRequest(&reader))
    case let kind: throw FormatError(.damaged, "question of kind \(kind)", at: 0)
    }
    try reader.finish()
  }
}

extension AccountRequest {
  fileprivate func encode(to writer: inout ByteWriter) throws(FormatError) {
    guard account.utf8.count <= 255, idempotencyKey.utf8.count <= 255,
      statements.count <= AccountRequestLimits.statementsMax,
      statements.allSatisfy({
        $0.sql.utf8.count <= AccountRequestLimits.sqlBytesMax && $0.arguments.count <= Limits.sqlVariablesMax
      })
    else { throw FormatError(.limit, "a name, a key, a statement or their number is too large") }
    writer.put(id)
    writer.put(deadlineMilliseconds)
    writer.put(fitting: account, lengthOf: UInt8.self)
    writer.put(fitting: idempotencyKey, lengthOf: UInt8.self)
    atLeast.encode(to: &writer)
    writer.put(stalenessMilliseconds)
    writer.put(UInt16(statements.count))
    for statement in statements {
      writer.put(UInt32(statement.sql.utf8.count))
      writer.put(raw: statement.sql.utf8)
      writer.put(UInt16(statement.arguments.count))
      for value in statement.arguments { value.encode(to: &writer) }
    }
  }

  fileprivate init(_ reader: inout AccountReader) throws(FormatError) {
    id = try reader.take()
    deadlineMilliseconds = try reader.take()
    account = try reader.takeShort()
    idempotencyKey = try reader.takeShort()
    atLeast = LogPlace(epoch: try reader.take(), index: try reader.take())
    stalenessMilliseconds = try reader.take()
    statements = []
    for _ in 0..<(try reader.takeCount(AccountRequestLimits.statementsMax, entryBytes: 6)) {
      let sql = try reader.takeText(try reader.takeLength(AccountRequestLimits.sqlBytesMax))
      var arguments: [AccountValue] = []
      for _ in 0..<(try reader.takeCount(Limits.sqlVariablesMax, entryBytes: 1)) {
        arguments.append(try AccountValue(&reader))
      }
      statements.append(AccountStatement(sql, arguments))
    }
  }
}
