// Reads every file of a data directory as it lies on the disk, and says which bytes are not what was written.
//
// It changes nothing and needs no running engine. Without keys it checks every checksum and the chain of every log;
// with keys it also opens every page, record and chunk, rebuilds the database in memory and compares the recordings with
// their rows. An account must not be written to meanwhile.

package import AtRest
package import Base
package import Disk
import Formats
import OpenSSL
import SQLite
import Threads

package struct StoreVerifier {
  let disk: any Disk
  let configuration: EngineConfiguration
  let kek: (any KeyEncryption)?
  package internal(set) var findings: [VerifyFinding] = []
  /// What was looked at, so that a verification which saw nothing shows.
  package internal(set) var counts = Counts()
  var chains: [AccountID: [SealedRecord]] = [:]

  package struct Counts: Sendable, Equatable {
    package var files = 0
    package var bytes: UInt64 = 0
    package var pages = 0
    package var records = 0
    package var chunks = 0
    package var logBlocks = 0
    package var recordings = 0
  }

  /// `kek` nil: only what can be said without keys.
  package init(disk: any Disk, configuration: EngineConfiguration, kek: (any KeyEncryption)?) {
    self.disk = disk
    self.configuration = configuration
    self.kek = kek
  }

  /// The commit log and every account.
  package mutating func verifyEverything() {
    verifyCommitLog()
    for name in (try? disk.list(configuration.accountsDirectory)) ?? [] {
      if let id = AccountID(name) { verifyFiles(of: id) }
    }
  }

  /// One account, with its records in the commit log.
  package mutating func verifyAccount(_ id: AccountID) {
    readChains()
    verifyFiles(of: id)
  }

  private mutating func verifyFiles(of id: AccountID) {
    let directory = "\(configuration.accountsDirectory)/\(id)"
    let keyring = verifyKeyring(id, directory)
    let slot = verifyRedo(id, directory)
    let log = verifySegments(id, directory, keyring, slot)
    verifyPages(id, directory, keyring, slot, redone: log.redone)
    let volumes = verifyVolumes(id, directory, keyring)
    compareRecordings(id, directory, keyring, volumes)
  }

  mutating func damage(_ path: String, at offset: UInt64, bytes: UInt64, _ message: String) {
    findings.append(VerifyFinding(.damage, path, at: offset, bytes: bytes, message))
  }

  mutating func mendable(_ path: String, at offset: UInt64, bytes: UInt64, _ message: String) {
    findings.append(VerifyFinding(.mendable, path, at: offset, bytes: bytes, message))
  }

  /// The bytes of a file; nil, and a finding, when they cannot be read.
  mutating func read(_ path: String, limit: Int = 1 << 30) -> [UInt8]? {
    do throws(DiskError) {
      let bytes = try disk.readAll(path, limit: limit)
      counts.files += 1
      counts.bytes += UInt64(bytes.count)
      return bytes
    } catch {
      damage(path, at: 0, bytes: 0, "cannot be read: \(error)")
      return nil
    }
  }

  // MARK: small files

  private mutating func verifyKeyring(_ id: AccountID, _ directory: String) -> ArchivedKeyring? {
    let path = "\(directory)/\(Shard.keyringName)"
    guard let bytes = read(path) else { return nil }
    do {
      let check = try KeyringCheck(state: bytes)
      let end = bytes.count - check.tornBytes
      if check.tornBytes > 0 {
        mendable(path, at: UInt64(end), bytes: UInt64(check.tornBytes), "a key whose writing was never confirmed")
      }
      if let broken = check.repairable {
        mendable(path, at: UInt64(broken.offset ?? 0), bytes: UInt64(KeyringSlot.byteCount), broken.message)
      }
      guard check.account == id else {
        damage(path, at: 0, bytes: UInt64(KeyringHeader.byteCount), "belongs to account \(check.account)")
        return nil
      }
      guard let kek else { return nil }
      let keyring = try ArchivedKeyring(
        state: Array(bytes[..<end]), account: id, unlockedBy: .keyEncryption(kek))
      for recording in keyring.recordingIDs() { _ = try keyring.recordingKey(recording) }
      return keyring
    } catch {
      damage(path, at: UInt64(error.offset ?? 0), bytes: Self.keyringUnit(error.offset), error.message)
      return nil
    }
  }

  /// The header, a sector of slots or of keys.
  private static func keyringUnit(_ offset: Int?) -> UInt64 {
    guard let offset, offset >= KeyringHeader.byteCount else { return UInt64(KeyringHeader.byteCount) }
    return UInt64(KeyringFrame.sectorBytes)
  }

  private mutating func verifyRedo(_ id: AccountID, _ directory: String) -> RedoSlot? {
    let path = "\(directory)/\(RedoFile.name)"
    guard let bytes = read(path, limit: 1 << 20) else { return nil }
    var best: RedoSlot?
    var broken: [(Int, String)] = []
    for start in [0, RedoSlot.spacing] {
      let part = bytes.dropFirst(start).prefix(RedoSlot.byteCount)
      do throws(FormatError) {
        let slot = try RedoSlot(Array(part))
        if slot.account != id {
          broken.append((start, "the redo slot belongs to account \(slot.account)"))
        } else if slot.sequence >= best?.sequence ?? 0 {
          best = slot
        }
      } catch { broken.append((start, error.message)) }
    }
    for (start, message) in broken {
      let length = UInt64(RedoSlot.byteCount)
      if best == nil {
        damage(path, at: UInt64(start), bytes: length, message)
      } else {
        mendable(path, at: UInt64(start), bytes: length, "\(message); the other slot serves")
      }
    }
    let gap = bytes.prefix(RedoSlot.spacing).dropFirst(RedoSlot.byteCount)
    if let stray = gap.firstIndex(where: { $0 != 0 }) {
      mendable(path, at: UInt64(stray), bytes: 1, "a byte between the slots that nobody writes")
    }
    return best
  }
}

extension Engine {
  /// Reads every file of an account as it lies on the disk and gives what is wrong with it. The account should be
  /// closed (`closeIdle`), or what is being written shows as findings.
  package func verify(_ id: AccountID) throws(StoreError) -> [VerifyFinding] {
    _ = try entry(id)
    var verifier = StoreVerifier(disk: disk, configuration: configuration, kek: kek.with { $0 })
    verifier.verifyAccount(id)
    return verifier.findings
  }
}
