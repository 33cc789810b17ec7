// What `manifest.json` of an export says: of what account and position it is, which files it holds, and the account's
// signature. Its form is exact (`FlatJSON`, then a line a file), so a reader needs no memory for the list of files.

package import Base
import OpenSSL

package struct ExportManifest: Sendable, Equatable {
  package var accountName: String
  package var account: AccountID
  package var export: ExportID
  /// `<epoch>.<index>`.
  package var position: String
  /// RFC 3339.
  package var createdAt: String
  /// Recordings made at or after it; nil for all.
  package var from: String?
  /// Recordings made before it; nil for all.
  package var to: String?
  /// The export that this one goes on from: it holds only recordings that that one and those before it do not.
  package var previous: ExportID?
  package var previousRoot: [UInt8]?
  package var recordings: UInt64
  package var recordingBytes: UInt64
  /// Files that the root is over: all but the manifest itself and SHA256SUMS.
  package var files: UInt64
  package var bytes: UInt64
  package var root: [UInt8]
  /// Ed25519, 32 bytes.
  package var publicKey: [UInt8]
  package var signature: [UInt8]

  static let fileName = "manifest.json"
  static let sumsName = "SHA256SUMS"
  static let format = "komora-export"
  static let version: Int64 = 1
  static let headLines = 18
  static let contentsLine = "  \"contents\": ["
  static let tail = "\n  ]\n}\n"

  /// A file's leaf in the tree, and its line in SHA256SUMS but for the second space.
  static func leaf(_ path: String, bytes: UInt64, hash: [UInt8]) -> [UInt8] {
    Array("\(hash.hex) \(bytes) \(path)".utf8)
  }

  static func line(_ path: String, bytes: UInt64, hash: [UInt8]) -> String {
    "    {\"path\": \(JSONText.quoted(path)), \"bytes\": \(bytes), \"sha256\": \"\(hash.hex)\"}"
  }

  static func sum(_ path: String, hash: [UInt8]) -> String { "\(hash.hex)  \(path)\n" }

  /// What the signature is over: a line for each member, in this order, `-` for what is null.
  package var signedText: String {
    let lines = [
      "\(Self.format) \(Self.version)", "account \(accountName)", "account_id \(account)", "export \(export)",
      "position \(position)", "created_at \(createdAt)", "from \(from ?? "-")", "to \(to ?? "-")",
      "previous \(previous.map { "\($0)" } ?? "-")", "previous_root \(previousRoot?.hex ?? "-")",
      "recordings \(recordings)", "recording_bytes \(recordingBytes)", "files \(files)", "bytes \(bytes)",
      "root \(root.hex)",
    ]
    return lines.joined(separator: "\n") + "\n"
  }

  package var isSigned: Bool { Ed25519.verify(signature, of: Array(signedText.utf8), public: publicKey) }

  private var members: FlatJSON {
    FlatJSON([
      ("format", .text(Self.format)), ("version", .integer(Self.version)), ("account", .text(accountName)),
      ("account_id", .text("\(account)")), ("export", .text("\(export)")), ("position", .text(position)),
      ("created_at", .text(createdAt)), ("from", .init(from)), ("to", .init(to)),
      ("previous", .init(previous.map { "\($0)" })), ("previous_root", .init(previousRoot?.hex)),
      ("recordings", .init(recordings)), ("recording_bytes", .init(recordingBytes)), ("files", .init(files)),
      ("bytes", .init(bytes)), ("root", .text(root.hex)), ("public_key", .text(publicKey.hex)),
      ("signature", .text(signature.hex)),
    ])
  }

  /// All of the file up to the first file's line.
  package var head: String { "{\n" + members.lines.joined(separator: ",\n") + ",\n" + Self.contentsLine + "\n" }

  /// Reads the lines between the brace and the list, each with its comma. Nil when they are not what `head` gives.
  package init?(lines: [String]) {
    guard lines.count == Self.headLines, lines.allSatisfy({ $0.hasSuffix(",") }),
      let json = FlatJSON(lines: lines.map { String($0.dropLast()) }),
      json.text("format") == Self.format, json["version"] == .integer(Self.version),
      let name = json.text("account"), let account = json.text("account_id").flatMap({ AccountID($0) }),
      let export = json.text("export").flatMap({ ExportID($0) }), let position = json.text("position"),
      let createdAt = json.text("created_at"), let recordings = json.count("recordings"),
      let recordingBytes = json.count("recording_bytes"), let files = json.count("files"),
      let bytes = json.count("bytes"), let root = json.bytes("root", 32),
      let publicKey = json.bytes("public_key", 32), let signature = json.bytes("signature", 64)
    else { return nil }
    self.init(
      accountName: name, account: account, export: export, position: position, createdAt: createdAt,
      from: json.text("from"), to: json.text("to"), previous: json.text("previous").flatMap { ExportID($0) },
      previousRoot: json.bytes("previous_root", 32), recordings: recordings, recordingBytes: recordingBytes,
      files: files, bytes: bytes, root: root, publicKey: publicKey, signature: signature)
    guard members == json else { return nil }
  }

  package init(
    accountName: String, account: AccountID, export: ExportID, position: String, createdAt: String, from: String?,
    to: String?, previous: ExportID?, previousRoot: [UInt8]?, recordings: UInt64, recordingBytes: UInt64,
    files: UInt64, bytes: UInt64, root: [UInt8], publicKey: [UInt8], signature: [UInt8]
  ) {
    self.accountName = accountName
    self.account = account
    self.export = export
    self.position = position
    self.createdAt = createdAt
    self.from = from
    self.to = to
    self.previous = previous
    self.previousRoot = previousRoot
    self.recordings = recordings
    self.recordingBytes = recordingBytes
    self.files = files
    self.bytes = bytes
    self.root = root
    self.publicKey = publicKey
    self.signature = signature
  }
}
