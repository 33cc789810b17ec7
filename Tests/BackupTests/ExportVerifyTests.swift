import AtRest
import Backup
import Base
import Disk
import Formats
import OpenSSL
import ShardStore
import Simulator
import Testing

/// What `verify` says of exports that somebody has changed, or made up.
@Suite struct ExportVerifyTests {
  private let account = AccountID(bits: 0xA)
  private let path = "/copy.tar.zst"

  /// A small export, as a file of its own.
  private func prepared() async throws -> (disk: ForgetfulDisk, file: [UInt8]) {
    let disk = ForgetfulDisk(seed: 1)
    let store = try TestStore.open(disk)
    defer { store.engine.close() }
    try await store.makeAccount(account, rows: 2, recordings: 1)
    let order = ExportOrder(export: ExportID(bits: 1), accountName: "acme", createdAt: 1_700_000_000_000_000)
    let exports = AccountExports(disk: disk, layout: ArchiveLayout(root: "/archive", account: account))
    let info = try await exports.create(order, of: store.engine)
    let file = try exports.plain(info, store.engine)
    try disk.replaceFile(path, file)
    return (disk, file)
  }

  private func findings(_ disk: any Disk, _ file: [UInt8]) throws -> [String] {
    try disk.replaceFile(path, file)
    return try Verify.run(path, disk: disk).findings.map(\.message)
  }

  @Test("each byte of a small export flipped in turn is found")
  func everyByte() async throws {
    let (disk, file) = try await prepared()
    #expect(try findings(disk, file) == [])
    let size = file.count
    #expect(size > 2000)
    // Only the last bytes tell that it is an export at all, unless its name does.
    let named = "/acme-\(ExportID(bits: 1)).tar.zst"
    try disk.replaceFile(named, file)
    for offset in 0..<size {
      try disk.flip(named, offset, bit: offset % 8)
      let report = try Verify.run(named, disk: disk)
      #expect(!report.findings.isEmpty, "byte \(offset)")
      try disk.flip(named, offset, bit: offset % 8)
    }
    for length in [0, 1, 6, 47, 48, 60, size / 2, size - 49, size - 48, size - 1] {
      try disk.replaceFile(named, Array(file.prefix(length)))
      #expect(!(try Verify.run(named, disk: disk)).findings.isEmpty, "\(length) bytes")
    }
    try disk.replaceFile(named, file + [0])
    #expect(!(try Verify.run(named, disk: disk)).findings.isEmpty)
  }

  /// A file whose outer checks are all right, around this tar stream.
  private func packed(_ tar: [UInt8]) throws -> [UInt8] {
    var file: [UInt8] = []
    let zstd = ZstdStreamCompressor()
    try zstd.write(tar.span.bytes) { file += $0 }
    try zstd.finish { file += $0 }
    return file + ExportTrailer(hash: SHA256.hash(file)).encode()
  }

  private func unpacked(_ file: [UInt8]) throws -> [UInt8] {
    var tar: [UInt8] = []
    _ = try ZstdStreamDecompressor(windowLogMax: 21).read(file) { tar += $0 }
    return tar
  }

  @Test("a changed tar stream under right outer sums is found, wherever the change is")
  func inside() async throws {
    let (disk, file) = try await prepared()
    let tar = try unpacked(file)
    #expect(try findings(disk, packed(tar)) == [])
    var random = SeededGenerator(seed: 4)
    var offsets = (0..<400).map { _ in random.below(tar.count) }
    offsets += Array(0..<512) + Array((tar.count - 1024)..<tar.count)
    for offset in offsets {
      var changed = tar
      changed[offset] ^= 1 << UInt8(offset % 8)
      #expect(try !findings(disk, packed(changed)).isEmpty, "byte \(offset) of the tar stream")
    }
    #expect(try !findings(disk, packed(tar + [UInt8](repeating: 0, count: 512))).isEmpty)
    #expect(try !findings(disk, packed(Array(tar.dropLast(512)))).isEmpty)
  }

  @Test("mutated exports are refused or whole, and never trap")
  func mutations() async throws {
    let (disk, file) = try await prepared()
    let tar = try unpacked(file)
    var random = SeededGenerator(seed: 11)
    for round in 0..<400 {
      let bytes = round % 2 == 0 ? file.mutated(using: &random) : try packed(tar.mutated(using: &random))
      guard bytes != file, try unpackedSame(bytes, tar) == false else { continue }
      do { #expect(try !findings(disk, bytes).isEmpty, "round \(round)") } catch let error as BackupError {
        // Without its trailer a file of any name is not one of ours.
        #expect(error.code == .notFound)
      }
    }
  }

  private func unpackedSame(_ bytes: [UInt8], _ tar: [UInt8]) throws -> Bool {
    bytes.count > 100 && (try? unpacked(bytes)) == tar && bytes == (try? packed(tar))
  }

  private func entry(_ path: String, _ content: String = "x", type: Unicode.Scalar = "0") -> [UInt8] {
    let bytes = Array(content.utf8)
    let entry = TarEntry(path: path, bytes: UInt64(bytes.count), modified: 1)
    var header = entry.encode()
    let last = header.count - 512
    if type != "0" {
      header[last + 156] = UInt8(ascii: type)
      for i in 148..<156 { header[last + i] = 0x20 }
      let digits = Array(String(header[last...].reduce(0) { $0 + Int($1) }, radix: 8).utf8)
      let padded = [UInt8](repeating: 48, count: 6 - digits.count) + digits + [0, 0x20]
      for (i, byte) in padded.enumerated() { header[last + 148 + i] = byte }
    }
    return header + bytes + [UInt8](repeating: 0, count: entry.padding)
  }

  private let end = [UInt8](repeating: 0, count: 1024)

  @Test("hostile archives are refused with a reason, and nothing of their names is repeated")
  func hostile() throws {
    let disk = ForgetfulDisk(seed: 1)
    let cases: [(String, [UInt8], String)] = [
      ("climbing", entry("acme/../../etc/cron.d/evil"), "its path is none"),
      ("climbing below recordings", entry("acme/recordings/../../evil"), "its path is none"),
      ("absolute", entry("/etc/evil"), "outside"),
      ("another directory", entry("acme/README.txt") + entry("other/README.txt"), "outside"),
      ("an empty part", entry("acme/recordings//evil"), "its path is none"),
      ("a control character", entry("acme/recordings/\u{1B}[2Jevil"), "its path is none"),
      ("a backslash", entry("acme/recordings/..\\evil"), "its path is none"),
      ("another file", entry("acme/evil"), "its path is none"),
      ("no directory", entry("evil"), "outside"),
      ("a long path", entry("acme/recordings/" + String(repeating: "e/", count: 3000)), "extended tar header"),
      ("twice", entry("acme/README.txt") + entry("acme/README.txt"), "twice"),
      ("a symbolic link", entry("acme/README.txt", type: "2"), "links, devices"),
      ("a hard link", entry("acme/README.txt", type: "1"), "links, devices"),
      ("a device", entry("acme/README.txt", type: "3"), "links, devices"),
      ("a pipe", entry("acme/README.txt", type: "6"), "links, devices"),
      ("a directory", entry("acme/recordings/", type: "5"), "links, devices"),
      ("a long GNU name", entry("././@LongLink", type: "L"), "links, devices"),
      ("no manifest", entry("acme/README.txt"), "no manifest"),
      ("sums alone", entry("acme/SHA256SUMS"), "no place"),
      ("a false manifest", entry("acme/manifest.json", "{}\n"), "manifest.json"),
    ]
    for (title, tar, reason) in cases {
      let found = try findings(disk, packed(tar + end))
      #expect(found.count == 1 && found[0].contains(reason) && !found[0].contains("evil"), "\(title): \(found)")
    }
    #expect(try disk.list("/") == ["copy.tar.zst"])
  }

  @Test("a bomb is not unpacked to its end")
  func bomb() throws {
    let disk = ForgetfulDisk(seed: 1)
    // 64 GiB of zeros and what 1,024 times the file allows would take minutes; the sizes that paths may have end it at once.
    var tar = entry("acme/README.txt")
    tar += TarEntry(path: "acme/recordings/a", bytes: 1 << 40, modified: 1).encode()
    tar += [UInt8](repeating: 0, count: 8 << 20)
    #expect(try findings(disk, packed(tar)).first?.contains("no place") == true)
    // A window larger than ours is refused before memory is taken for it.
    var wide = try packed(entry("acme/README.txt") + end)
    wide[5] = 0xF8
    #expect(try !findings(disk, wide).isEmpty)
  }

  @Test("a manifest signed by somebody else's hand does not hold")
  func forged() async throws {
    let (disk, file) = try await prepared()
    let tar = try unpacked(file)
    let needle = Array("\"position\": \"".utf8)
    let at = try #require(tar.firstRange(of: needle)).upperBound
    var changed = tar
    changed[at] = changed[at] == UInt8(ascii: "9") ? UInt8(ascii: "8") : UInt8(ascii: "9")
    #expect(try findings(disk, packed(changed)).first?.contains("signature") == true)
  }
}
