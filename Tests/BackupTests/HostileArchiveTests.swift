import Backup
import Base
import Disk
import Formats
import Simulator
import Testing

/// Archives come back from anywhere. Whatever was done to their bytes, nothing traps and no other bytes are given back.
@Suite struct HostileArchiveTests {
  @Test("an archive with mutated files gives back what was stored, or says that it is damaged")
  func mutations() async throws {
    var account = FakeAccount(seed: 3)
    account.pages = (0..<40).map { page in (0..<4096).map { UInt8(truncatingIfNeeded: $0 / 64 * (page + 1)) } }
    var random = SeededGenerator(seed: 77)
    account.addRecording(using: &random)
    let disk = ForgetfulDisk(seed: 1)
    let archive = FakeArchive(disk, account)
    try await archive.snapshot(id: 1)
    let files = try archive.files(account.layout.packs) + archive.files(account.layout.manifests)
    var (refused, whole) = (0, 0)
    for round in 0..<300 {
      let path = files[random.below(files.count)]
      let original = try disk.readAll(path, limit: 1 << 20)
      var bytes = original.mutated(using: &random)
      // Mend what protects against accidents, so that what protects against enemies is reached.
      if round % 2 == 0 { mend(&bytes, path) }
      try disk.replaceFile(path, bytes)
      if try givesBack(account, archive) { whole += 1 } else { refused += 1 }
      _ = try Verify.run(account.layout.directory, disk: disk)
      try disk.replaceFile(path, original)
    }
    #expect(refused > 150, "only \(refused) of 300 mutations mattered, \(whole) did not")
    #expect(try givesBack(account, archive))
  }

  /// True when everything is there as it was; anything else must be an error, never other bytes.
  private func givesBack(_ account: FakeAccount, _ archive: FakeArchive) throws -> Bool {
    do {
      guard let info = try archive.store.list().snapshots.first else { return false }
      let reader = try archive.reader(archive.store.read(info.path, keys: account.keys))
      let pages = try reader.manifest.body.groups.indices.flatMap { try reader.pages.open(group: $0) }
      #expect(pages == account.expectedPages)
      for recording in reader.manifest.body.recordings {
        var content: [UInt8] = []
        try reader.read(recording) { content += $0 }
        #expect(content == account.recordings[recording.id]?.flatMap { $0 })
      }
      return true
    } catch let error as BackupError {
      #expect(error.code == .damaged || error.code == .wrongKey || error.code == .notFound, "\(error)")
      return false
    }
  }

  /// Makes the checksums of a pack's header and list true again where that is possible, and those of a manifest's header.
  private func mend(_ bytes: inout [UInt8], _ path: String) {
    if path.hasSuffix(".kman"), bytes.count > 160 { bytes.mendChecksum(endingAt: 160) }
    guard path.hasSuffix(".kpak"), bytes.count > 64 else { return }
    bytes.mendChecksum(endingAt: 48)
    let list = bytes.count - 16
    guard let start = (0..<list).last(where: { bytes[$0...].starts(with: "KPKX".utf8) }) else { return }
    bytes.mendChecksum(from: start, endingAt: list)
  }
}

extension [UInt8] {
  /// Makes the four bytes before `end` the CRC-32C of those from `start` up to them.
  fileprivate mutating func mendChecksum(from start: Int = 0, endingAt end: Int) {
    guard end - 4 >= start else { return }
    var part = Array(self[start..<end])
    part.mendChecksum()
    replaceSubrange(start..<end, with: part)
  }
}
