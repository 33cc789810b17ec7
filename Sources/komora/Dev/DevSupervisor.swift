// Prepares development nodes, starts them, and keeps them running until a signal comes.
//
// Everything that happens (a node is ready, one ended, a signal came, a pause is over) is an event of one stream,
// handled in order: so a signal during a restart, or an end during a stop, has one meaning. In a cluster the first node
// comes first, then the others join through it; members of etcd are started when a node has written their files.

import Dispatch
import Foundation
import Glibc
import Node

final class DevSupervisor {
  private enum Event: Sendable {
    case ready(Int)
    case failed(CommandFailure)
    case joined(Int)
    case ended(Int, NodeChild.End)
    case etcdEnded(Int)
    case lookForEtcd
    case signal
    case pauseOver(Int)
  }

  private let settings: DevSettings
  private let preparation: DevPreparation
  private let lock: FileLock
  private let events: AsyncStream<Event>
  private let post: AsyncStream<Event>.Continuation
  private var children: [Int: NodeChild] = [:]
  private var etcd: [Int: EtcdChild] = [:]
  private var ready: Set<Int> = []
  private var isAnnounced = false
  private var stopping = false
  /// Readiness probes and pauses; cancelled when `run` ends.
  private var tasks: [Task<Void, Never>] = []

  init(_ settings: DevSettings) throws(CommandFailure) {
    self.settings = settings
    preparation = DevPreparation(settings: settings)
    do {
      try FileManager.default.createDirectory(
        atPath: settings.layout.root, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw CommandFailure(.failed, "cannot make \(settings.layout.root): \(error.localizedDescription)")
    }
    guard let lock = try FileLock(settings.layout.lock) else {
      throw CommandFailure(
        .refused, "another `komora dev` uses \(settings.layout.root): stop it, or choose another directory with --data")
    }
    self.lock = lock
    (events, post) = AsyncStream.makeStream(of: Event.self)
  }

  func run() async throws {
    for port in settings.ports where !PortProbe.isFree(port) {
      throw CommandFailure(.refused, "port \(port) is in use: choose another with --port, or stop what listens there")
    }
    if settings.isCluster, !EtcdChild.isInstalled {
      throw CommandFailure(.failed, "a cluster needs etcd, which is not in PATH: install it (Debian: etcd-server)")
    }
    try await preparation.run()
    let sources = watchSignals()
    defer { for source in sources { source.cancel() } }
    defer { for task in tasks { task.cancel() } }
    if settings.isCluster { try lookForEtcd() }
    try start(0)
    for await event in events {
      if try handle(event) { break }
    }
    for node in settings.names.indices { unlink(place(node).pid) }
  }

  private func place(_ node: Int) -> DevLayout.Node { settings.layout.node(settings.names[node]) }

  // MARK: events

  /// True when it is over.
  private func handle(_ event: Event) throws -> Bool {
    switch event {
    case .ready(let node): try becameReady(node)
    case .failed(let failure): if !stopping { Terminal.note("komora: \(failure.message)") }
    case .joined(let node): if !stopping { try start(node) }
    case .signal:
      // The first asks the nodes to end; a second one does not wait for them.
      if stopping || children.isEmpty { return true }
      stopping = true
      for child in children.values { child.terminate() }
    case .ended(let node, let end):
      children[node] = nil
      ready.remove(node)
      unlink(place(node).pid)
      if stopping { return endEtcd() }
      let name = settings.names[node]
      guard settings.respawns else {
        throw CommandFailure(.failed, "\(name) ended (\(end.description)): see its log above")
      }
      Terminal.note("\(name) ended (\(end.description)); starting it again in 3 s")
      later(.seconds(3)) { .pauseOver(node) }
    case .pauseOver(let node): if !stopping { try start(node) }
    case .lookForEtcd: if !stopping { try lookForEtcd() }
    case .etcdEnded(let node):
      etcd[node] = nil
      return stopping && children.isEmpty && etcd.isEmpty
    }
    return false
  }

  /// Etcd last: the nodes say goodbye to it. True when there is none to wait for.
  private func endEtcd() -> Bool {
    guard children.isEmpty else { return false }
    for member in etcd.values { member.terminate() }
    return etcd.isEmpty
  }

  private func becameReady(_ node: Int) throws {
    ready.insert(node)
    if node == 0 {
      for other in settings.names.indices.dropFirst() where children[other] == nil { join(other) }
    }
    guard ready.count == settings.names.count, !isAnnounced else { return }
    isAnnounced = true
    announce()
  }

  private func join(_ node: Int) {
    let preparation = preparation
    later(.zero) {
      do throws(CommandFailure) {
        try await preparation.join(node)
        return .joined(node)
      } catch {
        return .failed(CommandFailure(error.kind, "\(preparation.settings.names[node]): \(error.message)"))
      }
    }
  }

  private func start(_ node: Int) throws(CommandFailure) {
    guard children[node] == nil else { return }
    let (post, settings, place) = (post, settings, place(node))
    children[node] = try NodeChild(
      configuration: place.configuration, pidFile: place.pid, logLevel: settings.logLevel
    ) { end in
      post.yield(.ended(node, end))
    }
    later(.zero) { await Self.waitUntilReady(settings, node) }
  }

  /// Starts the members whose files are there, and looks again.
  private func lookForEtcd() throws(CommandFailure) {
    for node in settings.names.indices where etcd[node] == nil {
      let directory = preparation.configuration(of: node).paths.data + "/etcd"
      guard FileManager.default.fileExists(atPath: directory + "/etcd.yaml") else { continue }
      let post = post
      etcd[node] = try EtcdChild(configuration: directory + "/etcd.yaml", log: place(node).root + "/etcd.log") {
        post.yield(.etcdEnded(node))
      }
    }
    later(.milliseconds(500)) { .lookForEtcd }
  }

  private func later(_ pause: Duration, _ event: @escaping @Sendable () async -> Event?) {
    let post = post
    tasks.append(
      Task {
        try? await Task.sleep(for: pause)
        guard !Task.isCancelled, let event = await event() else { return }
        post.yield(event)
      })
    if tasks.count > 256 { tasks.removeFirst(128) }
  }

  private static func waitUntilReady(_ settings: DevSettings, _ node: Int) async -> Event? {
    guard let exchange = try? HTTPExchange(ca: settings.layout.ca) else { return nil }
    var answer: Event? = .failed(
      CommandFailure(.unavailable, "\(settings.names[node]) is not ready after a minute: see its log above"))
    for _ in 0..<600 {
      guard !Task.isCancelled else {
        answer = nil
        break
      }
      if let reply = try? await exchange.probe(settings.url(of: node) + "/readyz", seconds: 2), reply.status == 200 {
        answer = .ready(node)
        break
      }
      try? await Task.sleep(for: .milliseconds(100))
    }
    await exchange.close()
    return answer
  }

  private func watchSignals() -> [any DispatchSourceSignal] {
    [SIGINT, SIGTERM, SIGHUP].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      let post = post
      source.setEventHandler { post.yield(.signal) }
      source.resume()
      return source
    }
  }

  private func announce() {
    for (node, name) in settings.names.enumerated() {
      let label = settings.isCluster ? "\(name) (\(settings.regions[node]))" : "API, SQL"
      Terminal.line(
        label.padding(toLength: 14, withPad: " ", startingAt: 0)
          + "\(settings.url(of: node))   S3 https://localhost:\(settings.port(of: node) + 1)")
    }
    Terminal.line("SQL           \(settings.url)/db/ACCOUNT")
    Terminal.line("CA            \(settings.layout.ca)")
    Terminal.line("data          \(settings.layout.root)")
    Terminal.line("profile       \(settings.profile)")
    Terminal.line("ready")
  }
}
