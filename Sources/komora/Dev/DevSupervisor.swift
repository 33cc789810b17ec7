// Prepares a development node, starts it, and keeps it running until a signal comes.
//
// Everything that happens (the node is ready, it ended, a signal came, a pause is over) is an event of one stream,
// handled in order: so a signal during a restart, or an end during a stop, has one meaning.

import Dispatch
import Foundation
import Glibc
import Node

final class DevSupervisor {
  private enum Event: Sendable {
    case ready
    case notReady(CommandFailure)
    case ended(NodeChild.End)
    case signal
    case pauseOver
  }

  private let settings: DevSettings
  private let node: DevLayout.Node
  private let lock: FileLock
  private let events: AsyncStream<Event>
  private let post: AsyncStream<Event>.Continuation
  private var child: NodeChild?
  private var stopping = false
  /// Readiness probes and pauses; cancelled when `run` ends.
  private var tasks: [Task<Void, Never>] = []

  init(_ settings: DevSettings) throws(CommandFailure) {
    self.settings = settings
    node = settings.layout.node(DevSettings.nodeName)
    do {
      try FileManager.default.createDirectory(
        atPath: node.root, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw CommandFailure(.failed, "cannot make \(node.root): \(error.localizedDescription)")
    }
    guard let lock = try FileLock(settings.layout.lock) else {
      throw CommandFailure(
        .refused, "another `komora dev` uses \(settings.layout.root): stop it, or choose another directory with --data")
    }
    self.lock = lock
    (events, post) = AsyncStream.makeStream(of: Event.self)
  }

  func run() async throws {
    try checkPorts()
    try prepare()
    let sources = watchSignals()
    defer { for source in sources { source.cancel() } }
    defer { for task in tasks { task.cancel() } }
    try start()
    for await event in events {
      if try handle(event) { break }
    }
    unlink(node.pid)
  }

  // MARK: events

  /// True when it is over.
  private func handle(_ event: Event) throws -> Bool {
    switch event {
    case .ready:
      announce()
    case .notReady(let failure):
      guard !stopping else { return false }
      Terminal.note("komora: \(failure.message)")
    case .signal:
      // The first asks the node to end; a second one does not wait for it.
      if stopping || child == nil { return true }
      stopping = true
      child?.terminate()
    case .ended(let end):
      child = nil
      unlink(node.pid)
      if stopping { return true }
      guard settings.respawns else {
        throw CommandFailure(.failed, "\(DevSettings.nodeName) ended (\(end.description)): see its log above")
      }
      Terminal.note("\(DevSettings.nodeName) ended (\(end.description)); starting it again in 3 s")
      later(.seconds(3)) { .pauseOver }
    case .pauseOver:
      if !stopping { try start() }
    }
    return false
  }

  private func start() throws(CommandFailure) {
    let post = post
    let settings = settings
    let child = try NodeChild(configuration: node.configuration, pidFile: node.pid, logLevel: settings.logLevel) {
      end in
      post.yield(.ended(end))
    }
    self.child = child
    later(.zero) { await Self.waitUntilReady(settings) }
  }

  private func later(_ pause: Duration, _ event: @escaping @Sendable () async -> Event?) {
    let post = post
    tasks.append(
      Task {
        try? await Task.sleep(for: pause)
        guard !Task.isCancelled, let event = await event() else { return }
        post.yield(event)
      })
  }

  private static func waitUntilReady(_ settings: DevSettings) async -> Event? {
    guard let exchange = try? HTTPExchange(ca: settings.layout.ca) else { return nil }
    var answer: Event? = .notReady(
      CommandFailure(.unavailable, "\(DevSettings.nodeName) is not ready after a minute: see its log above"))
    for _ in 0..<600 {
      guard !Task.isCancelled else {
        answer = nil
        break
      }
      if let reply = try? await exchange.probe(settings.url + "/readyz", seconds: 2),
        reply.status == 200
      {
        answer = .ready
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

  // MARK: preparation

  private func checkPorts() throws(CommandFailure) {
    for port in [settings.port, settings.port + 1] where !PortProbe.isFree(port) {
      throw CommandFailure(.refused, "port \(port) is in use: choose another with --port, or stop what listens there")
    }
  }

  private func prepare() throws(CommandFailure) {
    try DevCertificates.prepare(settings.layout)
    if !FileManager.default.fileExists(atPath: node.token) {
      try PrivateFile.write(node.token, Array((Token.draw() + "\n").utf8))
    }
    var configuration = NodeConfiguration(directory: node.root)
    configuration.name = DevSettings.nodeName
    configuration.listen.api.port = settings.port
    configuration.listen.s3.port = settings.port + 1
    configuration.listen.fabric.port = settings.port + 2
    configuration.adminTokenFile = node.token
    configuration.tls = .init(apiCertificate: settings.layout.server, apiKey: settings.layout.serverKey)
    try PrivateFile.write(node.configuration, Array(configuration.toml.utf8))
    try Profile(
      url: settings.url, s3URL: settings.s3URL, token: try PrivateFile.readLine(node.token), ca: settings.layout.ca,
      urls: [settings.url]
    ).save(settings.profile)
  }

  private func announce() {
    let root = settings.layout.root
    Terminal.line("API, SQL  \(settings.url)   (SQL of an account: \(settings.url)/db/ACCOUNT)")
    Terminal.line("S3        \(settings.s3URL)")
    Terminal.line("CA        \(settings.layout.ca)")
    Terminal.line("data      \(root)")
    Terminal.line("profile   \(settings.profile)")
    Terminal.line("ready")
  }
}
