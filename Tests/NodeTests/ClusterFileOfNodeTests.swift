// The file that makes a node one of a cluster: damage, a wrong key, and the rotation of the key that seals it.

import AtRest
import Base
import Foundation
import Node
import SQLite
import ShardStore
import Testing

extension ClusterTests {
  @Suite("cluster file of a node")
  struct ClusterFileOfNode {
    let bed: ClusterBed
    init() throws { bed = try ClusterBed() }

    private func read(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

    private func write(_ data: Data, _ path: String) throws {
      try data.write(to: URL(fileURLWithPath: path))
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }

    @Test("a wrong key-encryption key is named as that, and nothing is touched")
    func wrongKey() async throws {
      let a = try await bed.found()
      let configuration = a.configuration
      await a.close()
      _ = try await ClusterSetup.found(bed.configuration("other"))
      let (kek, file) = (configuration.paths.keys + "/kek", configuration.paths.keys + "/cluster")
      let (right, sealed) = (try read(kek), try read(file))
      try write(try read(bed.path("other/keys/kek")), kek)
      await #expect { try await bed.open(configuration) } throws: {
        hasCode(.refused, "another key-encryption key")($0)
      }
      await #expect { try await ClusterSetup.found(configuration) } throws: {
        hasCode(.refused, "another key-encryption key")($0)
      }
      #expect(try read(file) == sealed)
      try FileManager.default.removeItem(atPath: kek)
      await #expect(throws: NodeError.self) { try await bed.open(configuration) }
      await #expect(throws: NodeError.self) { try await ClusterSetup.found(configuration) }
      #expect(!FileManager.default.fileExists(atPath: kek), "no key is made beside what another one has sealed")
      try write(right, kek)
      let again = try await bed.open(configuration)
      await again.close()
    }

    @Test("a damaged or truncated file is refused as that, by a start and by founding, and stays as it is")
    func damaged() async throws {
      let configuration = bed.configuration("a")
      _ = try await ClusterSetup.found(configuration)
      let file = configuration.paths.keys + "/cluster"
      let good = try read(file)
      var random = Seeded(seed: 11)
      for round in 0..<60 {
        var bad = good
        if round % 3 == 0 {
          bad = bad.prefix(random.below(bad.count))
        } else {
          bad[random.below(bad.count)] ^= 1 << UInt8(random.below(8))
        }
        try write(bad, file)
        await #expect { try await ClusterSetup.found(configuration) } throws: {
          hasCode(.io, "is damaged")($0) || hasCode(.refused, "newer release")($0)
        }
        if round < 6 { await #expect(throws: NodeError.self) { try await bed.open(configuration) } }
        #expect(try read(file) == bad)
      }
      try write(good, file)
      #expect(try await !ClusterSetup.found(configuration).isNew)
      let a = try await bed.open(configuration)
      await a.close()
    }

    @Test("a rotated key-encryption key opens everything of a node in a cluster, wherever the rotation stopped before")
    func rotation() async throws {
      let nodes = try await bed.cluster([("a", "eu"), ("b", "us")])
      let b = nodes[1]
      let account = try await b.createAccount(name: "acme", AccountOptions(residency: ["us"]))
      try await Shards.write([b], account.id, "CREATE TABLE t (a)")
      let configuration = b.configuration
      await #expect { try await KeyRotation.run(configuration) } throws: { hasCode(.unavailable)($0) }
      await b.close()
      let (kek, file) = (configuration.paths.keys + "/kek", configuration.paths.keys + "/cluster")
      let next = KeyEncryptionSource.nextFile(kek)
      let (old, sealed) = (try read(kek), try read(file))
      #expect(try await KeyRotation.run(configuration).accounts == 1)
      let new = try read(kek)
      #expect(new != old)
      #expect(try read(file) != sealed)
      try await check(configuration, account, "INSERT INTO t VALUES (1)")
      // As after an end behind the last step but one, then before the cluster file, then before everything.
      try write(old, kek)
      await #expect { try await bed.open(configuration) } throws: { hasCode(.refused)($0) }
      for isFileOld in [false, true] {
        try write(new, next)
        try write(old, kek)
        if isFileOld { try write(sealed, file) }
        await #expect { try await bed.open(configuration) } throws: { hasCode(.refused, "has not ended")($0) }
        await #expect { try await ClusterSetup.found(configuration) } throws: { hasCode(.refused, "has not ended")($0) }
        #expect(try await KeyRotation.run(configuration).accounts == 1)
        #expect(try read(kek) == new)
        try await check(configuration, account, "INSERT INTO t VALUES (2)")
      }
      _ = try FileKeyEncryption(path: next, creating: true)
      #expect(try await KeyRotation.run(configuration).accounts == 1)
      try await check(configuration, account, "INSERT INTO t VALUES (3)")
      await nodes[0].close()
    }

    private func check(_ configuration: NodeConfiguration, _ account: AccountRecord, _ sql: String) async throws {
      let node = try await bed.open(configuration)
      #expect(try node.account(named: "acme") == account)
      try await Shards.write([node], account.id, sql)
      await node.close()
    }
  }
}
