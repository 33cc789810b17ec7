// A reader of a watch that does not read: it costs a bound and hears of its gap.

import AtRest
import Base
import ControlStores
import OpenSSL
import Testing

@Suite struct WatchBoundTests {
  let directory = TemporaryDirectory()

  private static func end(_ watch: AsyncThrowingStream<[ControlEvent], any Error>) async -> (
    Int, ControlStoreError.Code?
  ) {
    var count = 0
    do {
      for try await events in watch { count += events.count }
      return (count, nil)
    } catch { return (count, (error as? ControlStoreError)?.code) }
  }

  @Test("the embedded store ends a watch that is not read with `.compacted`, and the others hear everything")
  func local() async throws {
    let kek = try FileKeyEncryption(path: directory.path + "/kek", creating: true)
    let store = try LocalControlStore(
      EmbeddedControlStore(path: directory.path + "/control.sqlite", kek: kek), watchBytesMax: 10_000)
    let lazy = store.watch(prefix: "", from: 1)
    let eager = store.watch(prefix: "", from: 1)
    let reading = Task { await Self.end(eager) }
    for i in 0..<40 {
      _ = try await store.transact(if: [], then: [.put("k\(i)", [UInt8](repeating: 1, count: 1000))], lease: nil)
    }
    let (count, code) = await Self.end(lazy)
    #expect(count == 0 && code == .compacted)
    // One transaction always fits, however large.
    let large = store.watch(prefix: "", from: 41)
    _ = try await store.transact(if: [], then: [.put("large", [UInt8](repeating: 1, count: 100_000))], lease: nil)
    store.close()
    #expect(await Self.end(large) == (1, .unavailable))
    #expect(await reading.value.1 == .unavailable)
  }

  @Test("a reader that is cancelled while it waits is let go, and the store goes on")
  func cancelled() async throws {
    let kek = try FileKeyEncryption(path: directory.path + "/kek", creating: true)
    let store = try LocalControlStore(EmbeddedControlStore(path: directory.path + "/control.sqlite", kek: kek))
    for _ in 0..<50 {
      let watch = store.watch(prefix: "", from: 1)
      let waiting = Task { await Self.end(watch) }
      _ = try await store.entry("x")
      waiting.cancel()
      #expect(await waiting.value.1 == nil)
    }
    _ = try await store.transact(if: [], then: [.put("a", [1])], lease: nil)
    store.close()
  }

  @Test("etcd's watch that is not read ends with `.compacted`; reading the range and watching from there goes on")
  func etcd() async throws {
    let cluster = try EtcdCluster()
    var configuration = cluster.configuration()
    configuration.watchBytesMax = 20_000
    let store = try EtcdControlStore(configuration, root: SecretBytes([UInt8](0..<32)))
    let start = try await store.entries(prefix: "", limit: 1).revision
    let lazy = store.watch(prefix: "", from: start + 1)
    for i in 0..<100 {
      _ = try await store.transact(if: [], then: [.put("k\(i % 7)", [UInt8](repeating: 1, count: 900))], lease: nil)
    }
    // A second watch that hears the last change has given the first the time to hear the others.
    var heard = 0
    for try await events in store.watch(prefix: "", from: start + 91) {
      heard += events.count
      if heard == 10 { break }
    }
    let (count, code) = await Self.end(lazy)
    #expect(count < 100 && code == .compacted)
    let range = try await store.entries(prefix: "", limit: 100)
    #expect(range.entries.count == 7)
    let next = store.watch(prefix: "", from: range.revision + 1)
    _ = try await store.transact(if: [], then: [.put("k0", [2])], lease: nil)
    for try await events in next {
      #expect(events.map(\.key) == ["k0"])
      break
    }
    await store.close()
  }
}
