// Temporary files of SQLite: sealed under a key that nobody keeps, and counted against the shard's quota.
//
// A file stays in memory until it is larger than a few blocks; only then it gets a name on the disk. Blocks are sealed
// with the block's number and a fresh nonce; nonces and tags stay in memory, so the file is worthless without us.

import Base
import Disk
import OpenSSL
import SQLite
import Threads

/// Bytes that a shard's temporary files may take together.
final class TemporaryQuota: Sendable {
  let disk: any Disk
  let directory: String
  /// Nothing is sealed: a planted bug.
  let plain: Bool
  private let limit: UInt64
  private let used = Lock<(bytes: UInt64, serial: UInt64)>((0, 0))

  init(disk: any Disk, configuration: EngineConfiguration, limit: UInt64? = nil) {
    self.disk = disk
    directory = configuration.temporaryDirectory
    self.limit = limit ?? configuration.temporaryBytesPerShard
    plain = configuration.plantedBugs.contains(.sealingOff)
  }

  func take(_ bytes: UInt64) -> Bool {
    used.with { u in
      guard bytes <= limit - u.bytes else { return false }
      u.bytes += bytes
      return true
    }
  }

  func give(_ bytes: UInt64) { used.with { $0.bytes -= bytes } }

  func nextName() -> String {
    let serial = used.with { u in
      u.serial += 1
      return u.serial
    }
    return "\(directory)/\(SystemRandom.bytes(8).hex)-\(serial).tmp"
  }
}

final class SealedTemporary: TemporaryStorage {
  private static let block = 16 << 10
  private static let blocksInMemory = 16
  private let quota: TemporaryQuota
  private let cipher = AESGCM(key: SecretBytes.random(32))
  private var blocks: [[UInt8]] = []
  private var file: (any DiskFile)?
  private var path: String?
  private var nonces: [[UInt8]?] = []
  private var cached: (number: Int, bytes: [UInt8], dirty: Bool)?
  private var accounted: UInt64 = 0
  private(set) var byteCount: UInt64 = 0

  init(quota: TemporaryQuota) { self.quota = quota }

  func read(at offset: UInt64, into bytes: inout MutableRawSpan) -> Bool {
    guard offset + UInt64(bytes.byteCount) <= byteCount else { return false }
    var done = 0
    let total = bytes.byteCount
    while done < total {
      let at = Int(offset) + done
      let (number, within) = (at / Self.block, at % Self.block)
      let take = min(total - done, Self.block - within)
      guard let block = load(number) else { return false }
      bytes.withUnsafeMutableBytes { out in
        block.withUnsafeBytes { source in
          UnsafeMutableRawBufferPointer(rebasing: out[done..<(done + take)])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[within..<(within + take)]))
        }
      }
      done += take
    }
    return true
  }

  func write(_ bytes: RawSpan, at offset: UInt64) -> Bool {
    let end = offset + UInt64(bytes.byteCount)
    if end > accounted {
      let more = (end - accounted + UInt64(Self.block) - 1) / UInt64(Self.block) * UInt64(Self.block)
      guard quota.take(more) else { return false }
      accounted += more
    }
    var done = 0
    while done < bytes.byteCount {
      let at = Int(offset) + done
      let (number, within) = (at / Self.block, at % Self.block)
      let take = min(bytes.byteCount - done, Self.block - within)
      guard store(bytes.extracting(done..<(done + take)), number, within) else { return false }
      done += take
    }
    byteCount = max(byteCount, end)
    return true
  }

  func truncate(to bytes: UInt64) { byteCount = min(byteCount, bytes) }

  func close() {
    file = nil
    if let path { try? quota.disk.remove(path) }
    quota.give(accounted)
    accounted = 0
  }

  private func load(_ number: Int) -> [UInt8]? {
    if number < Self.blocksInMemory { return number < blocks.count ? blocks[number] : Self.zeros }
    if let cached, cached.number == number { return cached.bytes }
    guard flush() else { return nil }
    let index = number - Self.blocksInMemory
    guard index < nonces.count, let nonce = nonces[index], let file else { return Self.zeros }
    guard let sealed = try? file.read(Self.block + 16, at: UInt64(index * (Self.block + 16))),
      let plain = quota.plain
        ? Array(sealed.dropLast(16)) : cipher.open(sealed, nonce: nonce, aad: withUnsafeBytes(of: number) { Array($0) })
    else { return nil }
    cached = (number, plain, false)
    return plain
  }

  private func store(_ bytes: RawSpan, _ number: Int, _ within: Int) -> Bool {
    if number < Self.blocksInMemory {
      while blocks.count <= number { blocks.append(Self.zeros) }
      Self.patch(&blocks[number], bytes, within)
      return true
    }
    guard load(number) != nil else { return false }
    if cached?.number != number { cached = (number, Self.zeros, false) }
    Self.patch(&cached!.bytes, bytes, within)
    cached!.dirty = true
    return true
  }

  private static let zeros = [UInt8](repeating: 0, count: block)

  private static func patch(_ block: inout [UInt8], _ bytes: RawSpan, _ within: Int) {
    block.withUnsafeMutableBytes { out in
      bytes.withUnsafeBytes { source in
        UnsafeMutableRawBufferPointer(rebasing: out[within..<(within + source.count)]).copyMemory(from: source)
      }
    }
  }

  private func flush() -> Bool {
    guard let dirty = cached, dirty.dirty else { return true }
    do {
      if file == nil {
        path = quota.nextName()
        file = try quota.disk.open(path!, .create)
      }
      let index = dirty.number - Self.blocksInMemory
      let nonce = SystemRandom.bytes(12)
      let aad = withUnsafeBytes(of: dirty.number) { Array($0) }
      let sealed =
        quota.plain
        ? dirty.bytes + [UInt8](repeating: 0, count: 16) : cipher.seal(dirty.bytes, nonce: nonce, aad: aad)
      try file!.write(sealed, at: UInt64(index * (Self.block + 16)))
      while nonces.count <= index { nonces.append(nil) }
      nonces[index] = nonce
      cached!.dirty = false
      return true
    } catch {
      return false
    }
  }
}
