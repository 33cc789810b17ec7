// Who is let into a cluster: join tokens work once, for a time, for one name and region, and in their own cluster only.

import Base
import Foundation
import Node
import Testing

extension ClusterTests {
  @Suite("join tokens")
  struct Joining {
    let bed: ClusterBed
    init() throws { bed = try ClusterBed() }

    @Test("of two joins with one token at the same instant exactly one is let in, and nobody afterwards")
    func once() async throws {
      let a = try await bed.found()
      let invitation = try await a.invite(name: "b", region: "eu", makesIssuer: false)
      let configurations = (0..<2).map { bed.configuration("b", place: "b\($0)") }
      let results = await withTaskGroup(of: Result<ClusterSetup.Report, any Error>.self) { group in
        for configuration in configurations {
          group.addTask {
            do {
              return .success(try await ClusterSetup.join(configuration, with: invitation))
            } catch {
              return .failure(error)
            }
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      let winners = results.compactMap { try? $0.get() }
      #expect(winners.count == 1, "\(results)")
      for case .failure(let error) in results { #expect(hasCode(.refused, "join token is not valid")(error)) }
      let late = bed.configuration("b", place: "late")
      await #expect { try await ClusterSetup.join(late, with: invitation) } throws: { hasCode(.refused)($0) }
      #expect(!FileManager.default.fileExists(atPath: late.paths.keys + "/cluster"))
      let nodes = try await a.clusterStatus().nodes
      #expect(nodes.filter { $0.record.name == "b" }.map(\.record.id) == winners.map(\.nodeID))
      await a.close()
    }

    @Test("a join token ends after 15 minutes")
    func expiry() async throws {
      let a = try await bed.found()
      let early = try await a.invite(name: "b", region: "eu", makesIssuer: false)
      let late = try await a.invite(name: "c", region: "eu", makesIssuer: false)
      #expect(early.expiresAt <= a.now + 900_000_000)
      bed.clock.advance(840)
      #expect(try await ClusterSetup.join(bed.configuration("b"), with: early).isNew)
      bed.clock.advance(61)
      await #expect { try await ClusterSetup.join(bed.configuration("c"), with: late) } throws: {
        hasCode(.refused, "15 minutes")($0)
      }
      await a.close()
    }

    @Test("a join token serves one name in one region, and whoever changes what it says is refused")
    func bound() async throws {
      let a = try await bed.found()
      let invitation = try await a.invite(name: "b", region: "eu", makesIssuer: false)
      for other in [bed.configuration("c"), bed.configuration("b", "us", place: "b-us")] {
        await #expect { try await ClusterSetup.join(other, with: invitation) } throws: {
          hasCode(.refused, "the join token is for b in eu")($0)
        }
        var changed = invitation
        (changed.name, changed.region) = (other.name, other.region)
        await #expect { try await ClusterSetup.join(other, with: changed) } throws: {
          hasCode(.refused, "not valid")($0)
        }
      }
      var wrong = invitation
      wrong.secret = String(wrong.secret.reversed())
      await #expect { try await ClusterSetup.join(bed.configuration("b", place: "b-secret"), with: wrong) } throws: {
        hasCode(.refused, "not valid")($0)
      }
      #expect(a.metric("komora_cluster_joins_refused_total") == 3)
      // None of this used it up.
      #expect(try await ClusterSetup.join(bed.configuration("b"), with: invitation).isNew)
      await a.close()
    }

    @Test("a token for one node does not take over the id of another one that was let in and has not started yet")
    func foreignID() async throws {
      let a = try await bed.found()
      let (b, c) = (bed.configuration("b"), bed.configuration("c"))
      let joined = try await bed.join(a, b)
      // As whoever holds c's token and has read b's id in the cluster's status.
      try FileManager.default.createDirectory(atPath: c.paths.data, withIntermediateDirectories: true)
      try FileManager.default.copyItem(atPath: b.paths.data + "/node", toPath: c.paths.data + "/node")
      let invitation = try await a.invite(name: "c", region: "eu", makesIssuer: false)
      await #expect { try await ClusterSetup.join(c, with: invitation) } throws: { hasCode(.refused, "not valid")($0) }
      #expect(try await a.clusterStatus().nodes.first { $0.record.id == joined.nodeID }?.record.name == "b")
      let second = try await bed.open(b)
      try await untilAlive([a, second])
      await bed.close([a, second])
    }

    @Test("certificates name the address that a node comes from, and other hosts only where the invitation says so")
    func hosts() async throws {
      let a = try await bed.found()
      var b = bed.configuration("b")
      b.listen.api.host = "api.example.com"
      let plain = try await a.invite(name: "b", region: "eu", makesIssuer: false)
      await #expect { try await ClusterSetup.join(b, with: plain) } throws: {
        hasCode(.refused, "--host api.example.com")($0)
      }
      let named = try await a.invite(
        name: "b", region: "eu", makesIssuer: false, hosts: ["127.0.0.1", "api.example.com"])
      #expect(try await ClusterSetup.join(b, with: named).isNew)
      await a.close()
    }

    @Test("a cluster at the same address with another authority is not taken for the right one")
    func pin() async throws {
      let a = try await bed.found()
      let foreign = try await bed.found("f")
      var invitation = try await a.invite(name: "b", region: "eu", makesIssuer: false)
      let right = invitation.addresses
      invitation.addresses = ["127.0.0.1:\(foreign.configuration.listen.fabric.port)"]
      let b = bed.configuration("b")
      await #expect { try await ClusterSetup.join(b, with: invitation) } throws: { hasCode(.refused)($0) }
      #expect(try await foreign.clusterStatus().nodes.count == 1)
      #expect(foreign.metric("komora_cluster_joins_refused_total") == 0, "the question did not reach it")
      // With the right one behind it, the join goes on there.
      invitation.addresses += right
      #expect(try await ClusterSetup.join(b, with: invitation).isNew)
      await bed.close([a, foreign])
    }

    @Test("neither etcd nor any file of the nodes holds a join token's secret, and etcd holds no name")
    func hashed() async throws {
      let a = try await bed.found("canary-founder")
      let invitation = try await a.invite(name: "canary-guest", region: "eu", makesIssuer: false)
      let configuration = bed.configuration("canary-guest")
      func check() {
        let half = Array(invitation.secret.utf8.prefix(32))
        for word in [half, Array(invitation.text.utf8.suffix(40)), [UInt8](hex: invitation.secret)!] {
          #expect(!bed.etcd.holds(word))
          #expect(!directoryHolds(bed.directory.path, word))
        }
      }
      check()
      _ = try await ClusterSetup.join(configuration, with: invitation)
      check()
      #expect(!bed.etcd.holds("canary-".utf8))
      #expect(bed.etcd.holds("invitation/\(invitation.id)".utf8), "the search finds what is there")
      await a.close()
    }

    @Test("a name that the cluster has is not invited again, and names have their letters")
    func names() async throws {
      let a = try await bed.found()
      await #expect { try await a.invite(name: "a", region: "eu", makesIssuer: false) } throws: { hasCode(.exists)($0) }
      for name in ["", "B", "a b", "x.y", String(repeating: "n", count: 64)] {
        await #expect { try await a.invite(name: name, region: "eu", makesIssuer: false) } throws: {
          hasCode(.invalid)($0)
        }
        await #expect { try await a.invite(name: "b", region: name, makesIssuer: false) } throws: {
          hasCode(.invalid)($0)
        }
      }
      await a.close()
    }

    @Test("a node that was let in and never started can be let in again, and the former one stays outside")
    func again() async throws {
      let a = try await bed.found()
      let (former, next) = (bed.configuration("b", place: "former"), bed.configuration("b", place: "next"))
      let first = try await bed.join(a, former)
      let second = try await bed.join(a, next)
      #expect(first.nodeID != second.nodeID)
      let b = try await bed.open(next)
      #expect(try await a.clusterStatus().nodes.map(\.record.id).sorted() == [a.nodeID, second.nodeID].sorted())
      await #expect { try await bed.open(former) } throws: { hasCode(.refused, "another node named b")($0) }
      try await untilAlive([a, b])
      await bed.close([a, b])
    }

    @Test("a node without the authorities invites nobody and says who does; one that was made an issuer does")
    func issuers() async throws {
      let a = try await bed.found()
      let (b, c, d) = (bed.configuration("b"), bed.configuration("c"), bed.configuration("d"))
      _ = try await bed.join(a, b)
      _ = try await bed.join(a, c, makesIssuer: true)
      let (plain, issuer) = (try await bed.open(b), try await bed.open(c))
      await #expect { try await plain.invite(name: "d", region: "eu", makesIssuer: false) } throws: {
        hasCode(.refused, "a (https://127.0.0.1:\(a.configuration.listen.api.port)), c (https://")($0)
      }
      await a.close()
      #expect(try await bed.join(issuer, d).isNew)
      let fourth = try await bed.open(d)
      try await untilAlive([plain, issuer, fourth])
      await bed.close([plain, issuer, fourth])
    }

    @Test("founding and joining can be repeated after any interruption")
    func repeated() async throws {
      let configuration = bed.configuration("a")
      let cluster = configuration.paths.keys + "/cluster"
      #expect(try await ClusterSetup.found(configuration).isNew)
      // As when it ended before its last step: the keys and the node's id are there, the cluster file is not.
      try FileManager.default.removeItem(atPath: cluster)
      let report = try await ClusterSetup.found(configuration)
      #expect(report.isNew)
      let bytes = FileManager.default.contents(atPath: cluster)
      var same = try await ClusterSetup.found(configuration)
      #expect(!same.isNew && FileManager.default.contents(atPath: cluster) == bytes)
      same.isNew = true
      #expect(same == report)
      let a = try await bed.open(configuration)
      let b = bed.configuration("b")
      let invitation = try await a.invite(name: "b", region: "eu", makesIssuer: false)
      let joined = try await ClusterSetup.join(b, with: invitation)
      #expect(try await !ClusterSetup.join(b, with: invitation).isNew)
      try FileManager.default.removeItem(atPath: b.paths.keys + "/cluster")
      await #expect { try await ClusterSetup.join(b, with: invitation) } throws: { hasCode(.refused)($0) }
      #expect(try await bed.join(a, b).nodeID == joined.nodeID)
      let second = try await bed.open(b)
      try await untilAlive([a, second])
      await bed.close([a, second])
    }

    @Test("a managed cluster leaves room for etcd's ports behind its own")
    func ports() async throws {
      var configuration = bed.configuration("a")
      configuration.control = NodeConfiguration(directory: "").control
      configuration.control.engine = .etcd
      configuration.control.isManaged = true
      configuration.listen.fabric.port = 65_534
      await #expect { try await ClusterSetup.found(configuration) } throws: { hasCode(.invalid, "listen.fabric")($0) }
      let a = try await bed.found()
      var guest = bed.configuration("b")
      guest.listen.fabric.port = 65_535
      await #expect { try await bed.join(a, guest) } throws: { hasCode(.refused, "addresses")($0) }
      await a.close()
    }
  }
}
