// A server of etcd that says anything: every answer ends as a value or an error of the store, never as a trap, a wait
// without end, or memory without bound.

import Base
import ControlStores
import Foundation
import OpenSSL
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(10))) struct EtcdHostileTests {
  /// Answers from memory; `answer` gets the path.
  private final class Transport: EtcdTransport {
    let answer: @Sendable (String) -> (Int, [UInt8])

    init(_ answer: @escaping @Sendable (String) -> (Int, [UInt8])) { self.answer = answer }

    func post(_ url: String, _ body: [UInt8]) async throws -> (status: Int, bytes: [UInt8]) {
      answer(String(url.dropFirst("https://a:1".count)))
    }

    func follow(
      _ url: String, _ body: [UInt8], opened: (Int) throws -> Void, part: ([UInt8]) throws -> Void
    ) async throws {
      let (status, bytes) = answer("/v3/watch")
      try opened(status)
      for start in stride(from: 0, to: bytes.count, by: 61) {
        try part(Array(bytes[start..<min(start + 61, bytes.count)]))
      }
    }

    func close() async {}
  }

  private static let root = SecretBytes([UInt8](0..<32))

  private static func configuration() -> EtcdConfiguration {
    EtcdConfiguration(endpoints: ["https://a:1"], authorityPath: "", certificatePath: "", keyPath: "", prefix: "/t/")
  }

  private static func store(_ answer: @escaping @Sendable (String) -> (Int, [UInt8])) throws -> EtcdControlStore {
    var configuration = configuration()
    configuration.answerBytesMax = 1 << 20
    return try EtcdControlStore(configuration, root: root, over: Transport(answer))
  }

  /// One body for every kind of answer; the values are real ones, so that a flip in a seal is found too.
  private static func whole() async throws -> [String: String] {
    // A store that records what it would put.
    final class Recorder: EtcdTransport {
      let body = Mutex<[UInt8]>([])
      func post(_ url: String, _ body: [UInt8]) async throws -> (status: Int, bytes: [UInt8]) {
        self.body.withLock { $0 = body }
        return (200, Array(#"{"header":{"revision":"5"},"succeeded":true}"#.utf8))
      }
      func follow(
        _ url: String, _ body: [UInt8], opened: (Int) throws -> Void, part: ([UInt8]) throws -> Void
      ) async throws {}
      func close() async {}
    }
    let recorder = Recorder()
    let writer = try EtcdControlStore(configuration(), root: root, over: recorder)
    _ = try await writer.transact(if: [], then: [.put("k", [1, 2, 3])], lease: nil)
    let put = try JSONSerialization.jsonObject(with: Data(recorder.body.withLock { $0 })) as? [String: Any]
    let operation = (put?["success"] as? [[String: Any]])?.first?["request_put"] as? [String: Any]
    let sealed = operation?["value"] as? String ?? ""
    let entry = #"{"key":"L3Qvaw==","mod_revision":"5","value":"\#(sealed)"}"#
    let event =
      #"{"result":{"header":{"revision":"6"},"events":[{"kv":\#(entry)},"#
      + #"{"type":"DELETE","kv":{"key":"L3Qvaw==","mod_revision":"6"}}]}}"#
    return [
      "/v3/kv/range": #"{"header":{"cluster_id":"1","revision":"6"},"kvs":[\#(entry)],"count":"1"}"#,
      "/v3/kv/txn": #"{"header":{"revision":"7"},"succeeded":true,"responses":[{"response_put":{}}]}"#,
      "/v3/lease/grant": #"{"header":{"revision":"7"},"ID":"7587","TTL":"10"}"#,
      "/v3/lease/keepalive": #"{"result":{"ID":"7587","TTL":"10"}}"#, "/v3/lease/revoke": "{}",
      "/v3/watch": #"{"result":{"header":{"revision":"4"},"created":true}}"# + "\n" + event + "\n",
      "/v3/maintenance/status":
        #"{"header":{"member_id":"9"},"version":"3.4.2","dbSize":"20480","leader":"9","raftIndex":"4","raftTerm":"2"}"#,
      "/v3/cluster/member/list":
        #"{"members":[{"ID":"9","name":"m","peerURLs":["https://a:2"],"clientURLs":["https://a:1"]}]}"#,
      "/v3/cluster/member/add": #"{"member":{"ID":"8","peerURLs":["https://a:4"],"isLearner":true},"members":[]}"#,
    ]
  }

  /// Every call once; gives how many succeeded.
  private func use(_ answer: @escaping @Sendable (String) -> (Int, [UInt8])) async throws -> Int {
    let store = try Self.store(answer)
    let members = try EtcdMembers(Self.configuration(), over: Transport(answer))
    var good = 0
    func attempt(_ body: () async throws -> Void) async throws {
      do {
        try await body()
        good += 1
      } catch let error as ControlStoreError {
        #expect(error.message.utf8.count < 600)
      }
    }
    try await attempt {
      if let entry = try await store.entry("k") {
        #expect(entry.key == "k" && entry.revision > 0 && entry.value == [1, 2, 3])
      }
    }
    try await attempt {
      let range = try await store.entries(prefix: "", limit: 3)
      #expect(range.revision > 0 && range.entries.count <= 3)
      #expect(range.entries.allSatisfy { $0.revision > 0 && $0.revision <= range.revision && $0.value == [1, 2, 3] })
    }
    try await attempt {
      let outcome = try await store.transact(if: [], then: [.put("k", [1])], lease: nil)
      #expect(outcome.revision > 0)
    }
    try await attempt {
      let lease = try await store.grant(seconds: 5)
      #expect(lease.id > 0 && lease.seconds > 0)
    }
    try await attempt { try await store.keepAlive(ControlLease(id: 1, seconds: 5)) }
    try await attempt { try await store.revoke(ControlLease(id: 1, seconds: 5)) }
    try await attempt { _ = try await members.survey() }
    try await attempt { _ = try await members.add(peerURL: "https://a:4") }
    try await attempt { try await members.promote(8) }
    var last: Int64 = 5
    do {
      for try await events in store.watch(prefix: "", from: 5) {
        for event in events {
          #expect(event.revision >= last)
          last = event.revision
        }
        good += 1
      }
    } catch { #expect(error is ControlStoreError) }
    return good
  }

  @Test("the answers as they should be are taken")
  func honest() async throws {
    let whole = try await Self.whole()
    #expect(try await use { (200, Array((whole[$0] ?? "{}").utf8)) } == 10)
  }

  @Test("a thousand servers with mutated answers: values are right or refused")
  func mutated() async throws {
    let whole = try await Self.whole()
    let pieces = [
      "\"", "{", "}", "[", "]", "null", "-1", "\"-5\"", "\"9223372036854775808\"", "1e400", "\"\\ud800\"", "true", "0",
      "\u{0}", "\"revision\":\"-3\"", "\"mod_revision\":\"0\"", ":", ",", "\n", "\"18446744073709551616\"",
    ]
    var good = 0
    for seed in 0..<1000 as Range<UInt64> {
      good += try await use { path in
        var random = SeededGenerator(seed: seed &* 31 &+ UInt64(path.utf8.count))
        var bytes = Array((whole[path] ?? "{}").utf8)
        for _ in 0...random.below(3) {
          let at = random.below(bytes.count)
          switch random.below(5) {
          case 0: bytes[at] = UInt8(random.below(256))
          case 1: bytes.removeSubrange(at..<min(bytes.count, at + 1 + random.below(8)))
          case 2: bytes.insert(contentsOf: pieces[random.below(pieces.count)].utf8, at: at)
          case 3: bytes.replaceSubrange(at..<min(bytes.count, at + 3), with: pieces[random.below(pieces.count)].utf8)
          default: bytes += bytes[at...]
          }
          if bytes.isEmpty { bytes = [0x20] }
        }
        return (random.oneIn(8) ? 200 + random.below(400) : 200, bytes)
      }
    }
    #expect((100...9000).contains(good))
  }

  @Test("answers of the wrong kind, nested without end, or of another key are errors")
  func wrong() async throws {
    let whole = try await Self.whole()
    let range = try #require(whole["/v3/kv/range"])
    for answer in [
      "", "null", "[]", "0", "\"x\"", "{}", #"{"header":null}"#, #"{"header":{"revision":{}}}"#,
      #"{"header":{"revision":"6"},"kvs":{}}"#, #"{"header":{"revision":"6"},"kvs":[null]}"#,
      String(repeating: "[", count: 200_000), String(repeating: #"{"header":"#, count: 50_000),
      range.replacing("L3Qvaw==", with: "L3Qvag=="), range.replacing("L3Qvaw==", with: "a2V5"),
      range.replacing("L3Qvaw==", with: "####"), range.replacing(#""mod_revision":"5""#, with: #""mod_revision":"-5""#),
      range.replacing(#""mod_revision":"5""#, with: #""x":"5""#),
      range.replacing(#"},"kvs":["#, with: #"},"kvs":[{"key":"L3Qvaw=="},"#),
    ] {
      let store = try Self.store { _ in (200, Array(answer.utf8)) }
      await #expect(throws: ControlStoreError.self, "\(answer.prefix(60))") {
        let entry = try await store.entry("k")
        // No header is asked for here, so nothing found is an answer; it is none for what follows.
        if entry == nil { _ = try await store.entries(prefix: "", limit: 3) }
      }
    }
    // A range that grew behind its own revision, or is larger than asked for.
    let store = try Self.store { _ in (200, Array(range.replacing(#""revision":"6""#, with: #""revision":"4""#).utf8)) }
    await #expect(throws: ControlStoreError.self) { _ = try await store.entries(prefix: "", limit: 3) }
    await #expect(throws: ControlStoreError.self) {
      _ = try await Self.store { _ in (200, Array(range.utf8)) }.entries(prefix: "", limit: 0)
    }
    // What may have been made is said to be in doubt.
    do {
      _ = try await Self.store { _ in (200, [0x7B]) }.transact(if: [], then: [.put("k", [])], lease: nil)
      Issue.record("taken")
    } catch { #expect((error as? ControlStoreError)?.code == .unknown) }
  }

  /// Endpoints `a` to `c`, each with its own answer.
  private static func three(_ answer: @escaping @Sendable (String) throws -> (Int, [UInt8])) throws -> EtcdControlStore
  {
    final class Several: EtcdTransport {
      let answer: @Sendable (String) throws -> (Int, [UInt8])
      init(_ answer: @escaping @Sendable (String) throws -> (Int, [UInt8])) { self.answer = answer }
      func post(_ url: String, _ body: [UInt8]) async throws -> (status: Int, bytes: [UInt8]) {
        try answer(String(url.dropFirst("https://".count).prefix(1)))
      }
      func follow(
        _ url: String, _ body: [UInt8], opened: (Int) throws -> Void, part: ([UInt8]) throws -> Void
      ) async throws {}
      func close() async {}
    }
    var configuration = configuration()
    configuration.endpoints = ["https://a:1", "https://b:1", "https://c:1"]
    return try EtcdControlStore(configuration, root: root, over: Several(answer))
  }

  private struct BadCertificate: Error, CustomStringConvertible {
    var description: String { "CERTIFICATE_VERIFY_FAILED" }
  }

  private static func code(_ body: () async throws -> Void) async -> ControlStoreError.Code? {
    do {
      try await body()
      return nil
    } catch { return (error as? ControlStoreError)?.code }
  }

  @Test("one endpoint whose certificate does not fit does not block the others, for changes as for reads")
  func certificateOfOne() async throws {
    let good = Array(#"{"header":{"revision":"5"},"succeeded":true}"#.utf8)
    let asked = Mutex<[String]>([])
    let store = try Self.three { endpoint in
      asked.withLock { $0.append(endpoint) }
      if endpoint == "a" { throw BadCertificate() }
      return (200, good)
    }
    #expect(try await store.entry("k") == nil)
    #expect(try await store.transact(if: [], then: [.put("k", [1])], lease: nil).revision == 5)
    #expect(asked.withLock { $0 } == ["a", "b", "b"], "what does not serve is not asked first again")
    let none = try Self.three { _ in throw BadCertificate() }
    #expect(await Self.code { _ = try await none.entry("k") } == .refused)
    #expect(await Self.code { _ = try await none.transact(if: [], then: [.put("k", [1])], lease: nil) } == .refused)
  }

  @Test("a server that fails in its own words leaves a change in doubt, and a read goes on to the next one")
  func unknownFailure() async throws {
    let broken = Array(#"{"error":"something went wrong inside"}"#.utf8)
    for status in [500, 502, 503] {
      let store = try Self.three { endpoint in
        endpoint == "a" ? (status, broken) : (200, Array(#"{"header":{"revision":"5"}}"#.utf8))
      }
      #expect(await Self.code { _ = try await store.transact(if: [], then: [.put("k", [1])], lease: nil) } == .unknown)
      let reader = try Self.three { endpoint in
        endpoint == "a" ? (status, broken) : (200, Array(#"{"header":{"revision":"5"}}"#.utf8))
      }
      #expect(try await reader.entry("k") == nil)
    }
    let refusing = try Self.three { _ in (400, broken) }
    #expect(await Self.code { _ = try await refusing.transact(if: [], then: [.put("k", [1])], lease: nil) } == .io)
  }

  @Test("a transport that comes when the store is closed is closed too, as are those that it had")
  func renewedWhenClosed() async throws {
    final class Counting: EtcdTransport {
      let closed = Atomic<Int>(0)
      func post(_ url: String, _ body: [UInt8]) async throws -> (status: Int, bytes: [UInt8]) { (200, [0x7B, 0x7D]) }
      func follow(
        _ url: String, _ body: [UInt8], opened: (Int) throws -> Void, part: ([UInt8]) throws -> Void
      ) async throws {}
      func close() async { closed.add(1, ordering: .relaxed) }
    }
    let all = (0..<3).map { _ in Counting() }
    let store = try EtcdControlStore(Self.configuration(), root: Self.root, over: all[0])
    try await store.use(all[1])
    await store.close()
    await #expect { try await store.use(all[2]) } throws: { ($0 as? ControlStoreError)?.code == .unavailable }
    #expect(all.map { $0.closed.load(ordering: .relaxed) } == [1, 1, 1])
  }

  @Test("a server over TLS that never ends a body, a line or a header is left within bounds of size and time")
  func endless() async throws {
    let server = try HostileServer()
    var configuration = server.configuration
    configuration.requestTimeout = .seconds(1)
    configuration.answerBytesMax = 1 << 20
    let store = try EtcdControlStore(configuration, root: Self.root)
    // What ends by its size must not end by its time before, however busy the machine.
    configuration.requestTimeout = .seconds(60)
    let patient = try EtcdControlStore(configuration, root: Self.root)
    // An honest answer first: what follows fails for no other reason.
    try server.behave("honest")
    #expect(try await store.entry("k") == nil)
    #expect(try await patient.entry("k") == nil)
    for (mode, message) in [
      ("body", "too long"), ("silent", "does not answer"), ("header", "does not answer"),
      ("garbage", "does not answer"),
      ("short", "does not answer"), ("close", "does not answer"), ("line", "without an end"),
      ("mute", "does not answer"),
    ] {
      try server.behave(mode)
      let store = mode == "body" || mode == "line" ? patient : store
      do {
        if mode == "line" || mode == "mute" {
          for try await _ in store.watch(prefix: "", from: 1) {}
        } else {
          _ = try await store.entry("k")
        }
        Issue.record("\(mode): taken")
      } catch {
        let told = (error as? ControlStoreError)?.message ?? "\(error)"
        #expect(told.contains(message), "\(mode): \(told)")
      }
    }
    await store.close()
    await patient.close()
  }
}
