// What is known of a finished export without opening it: `export.json` beside its file.

package import Base

package struct ExportInfo: Sendable, Equatable {
  package var id: ExportID
  package var account: AccountID
  package var accountName: String
  package var createdAt: UnixMicroseconds
  package var position: String
  package var from: UnixMicroseconds?
  package var to: UnixMicroseconds?
  package var previous: ExportID?
  package var recordings: UInt64
  package var recordingBytes: UInt64
  /// age recipients, none for a file that everybody can read.
  package var recipients: [String]
  /// Name of what a reader gets: `….tar.zst` or `….tar.zst.age`.
  package var file: String
  package var bytes: UInt64
  /// SHA-256 of what a reader gets.
  package var hash: [UInt8]
  /// The file on the disk, sealed to the account's own key: its length and SHA-256.
  package var storedBytes: UInt64
  package var storedHash: [UInt8]
  package var root: [UInt8]
  package var publicKey: [UInt8]
  /// Readers are to cut the file into parts of so many bytes; nil for one piece.
  package var partBytes: UInt64?

  static let fileName = "export.json"
  static let bytesMax = 16 << 10

  package static func file(of account: String, _ id: ExportID, isSealed: Bool) -> String {
    "\(account)-\(id).tar.zst" + (isSealed ? ".age" : "")
  }

  /// The name on the disk of what a reader knows as `file`: no account's name is the name of a file here.
  static let storedName = "content.age"

  private var json: FlatJSON {
    FlatJSON([
      ("version", .integer(1)), ("export", .text("\(id)")), ("account", .text(accountName)),
      ("account_id", .text("\(account)")), ("created_us", .integer(createdAt)), ("position", .text(position)),
      ("from_us", Self.time(from)), ("to_us", Self.time(to)), ("previous", .init(previous.map { "\($0)" })),
      ("recordings", .init(recordings)), ("recording_bytes", .init(recordingBytes)),
      ("recipients", .text(recipients.joined(separator: " "))), ("file", .text(file)), ("bytes", .init(bytes)),
      ("sha256", .text(hash.hex)), ("stored_bytes", .init(storedBytes)),
      ("stored_sha256", .text(storedHash.hex)), ("root", .text(root.hex)), ("public_key", .text(publicKey.hex)),
      ("part_bytes", partBytes.map { .init($0) } ?? .null),
    ])
  }

  private static func time(_ time: UnixMicroseconds?) -> FlatJSON.Value { time.map { .integer($0) } ?? .null }
  private static func time(_ value: FlatJSON.Value?) -> UnixMicroseconds? {
    if case .integer(let time)? = value { time } else { nil }
  }

  package func encode() -> [UInt8] { Array(json.object.utf8) }

  /// Nil for anything that `encode` does not give.
  package init?(decoding bytes: [UInt8]) {
    guard bytes.count <= Self.bytesMax, let json = FlatJSON(object: String(decoding: bytes, as: UTF8.self)),
      json["version"] == .integer(1), let id = json.text("export").flatMap({ ExportID($0) }),
      let account = json.text("account_id").flatMap({ AccountID($0) }), let name = json.text("account"),
      let createdAt = Self.time(json["created_us"]), let position = json.text("position"),
      let recordings = json.count("recordings"), let recordingBytes = json.count("recording_bytes"),
      let recipients = json.text("recipients"), let file = json.text("file"), let size = json.count("bytes"),
      let hash = json.bytes("sha256", 32), let storedBytes = json.count("stored_bytes"),
      let storedHash = json.bytes("stored_sha256", 32), let root = json.bytes("root", 32),
      let publicKey = json.bytes("public_key", 32)
    else { return nil }
    self.id = id
    self.account = account
    accountName = name
    self.createdAt = createdAt
    self.position = position
    from = Self.time(json["from_us"])
    to = Self.time(json["to_us"])
    previous = json.text("previous").flatMap { ExportID($0) }
    self.recordings = recordings
    self.recordingBytes = recordingBytes
    self.recipients = recipients.split(separator: " ").map(String.init)
    self.file = file
    self.bytes = size
    self.hash = hash
    self.storedBytes = storedBytes
    self.storedHash = storedHash
    self.root = root
    self.publicKey = publicKey
    partBytes = json.count("part_bytes")
    // The name becomes a path.
    guard json == self.json, file == Self.file(of: name, id, isSealed: !self.recipients.isEmpty),
      ExportOrder.isSafe(accountName: name)
    else { return nil }
  }

  init(_ order: ExportOrder, _ manifest: ExportManifest, _ written: ExportSink.Result) {
    id = order.export
    account = manifest.account
    accountName = order.accountName
    createdAt = order.createdAt
    position = manifest.position
    from = order.from
    to = order.to
    previous = manifest.previous
    recordings = manifest.recordings
    recordingBytes = manifest.recordingBytes
    recipients = order.recipients
    file = Self.file(of: order.accountName, order.export, isSealed: !order.recipients.isEmpty)
    bytes = written.bytes
    hash = written.hash
    storedBytes = written.storedBytes
    storedHash = written.storedHash
    root = manifest.root
    publicKey = manifest.publicKey
    partBytes = order.partBytes
  }
}
