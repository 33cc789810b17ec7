// What development nodes need before they start: certificates for the API, a token, configurations, and for more than
// one node a cluster. All of it is made once; a second start finds it.

import Foundation
import Node

struct DevPreparation {
  let settings: DevSettings
  private var layout: DevLayout { settings.layout }

  var tokenPath: String { layout.node(settings.names[0]).token }

  func configuration(of node: Int) -> NodeConfiguration {
    let place = layout.node(settings.names[node])
    var configuration = NodeConfiguration(directory: place.root)
    configuration.name = settings.names[node]
    configuration.region = settings.regions[node]
    let port = settings.port(of: node)
    configuration.listen.api.port = port
    configuration.listen.s3.port = port + 1
    configuration.listen.fabric.port = port + 2
    configuration.adminTokenFile = tokenPath
    configuration.tls = .init(apiCertificate: layout.server, apiKey: layout.serverKey)
    if settings.isCluster {
      configuration.cluster.name = "dev"
      configuration.control.engine = .etcd
      configuration.control.isManaged = true
    }
    return configuration
  }

  /// Before the first node starts.
  func run() async throws {
    try DevCertificates.prepare(layout)
    for name in settings.names {
      do {
        try FileManager.default.createDirectory(
          atPath: layout.node(name).root, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      } catch {
        throw CommandFailure(.failed, "cannot make \(layout.node(name).root): \(error.localizedDescription)")
      }
    }
    if !FileManager.default.fileExists(atPath: tokenPath) {
      try PrivateFile.write(tokenPath, Array((Token.draw() + "\n").utf8))
    }
    for node in settings.names.indices {
      try PrivateFile.write(
        layout.node(settings.names[node]).configuration, Array(configuration(of: node).toml.utf8))
    }
    try Profile(
      url: settings.url, s3URL: settings.s3URL, token: try PrivateFile.readLine(tokenPath), ca: layout.ca,
      urls: settings.urls, s3URLs: settings.s3URLs
    ).save(settings.profile)
    guard settings.isCluster else { return }
    do throws(NodeError) {
      _ = try await ClusterSetup.found(configuration(of: 0))
    } catch {
      throw CommandFailure(error)
    }
  }

  /// Lets a node in, through the first one. What has joined already is left as it is.
  func join(_ node: Int) async throws(CommandFailure) {
    let configuration = configuration(of: node)
    guard !FileManager.default.fileExists(atPath: configuration.paths.keys + "/cluster") else { return }
    let client = try APIClient(
      ConnectionSettings(urls: [settings.url], token: try PrivateFile.readLine(tokenPath), ca: layout.ca))
    let answer: Result<JSONValue, CommandFailure>
    do throws(CommandFailure) {
      answer = .success(
        try await client.post(
          "/v1/cluster/invitations",
          .object(["name": .text(configuration.name), "region": .text(configuration.region), "issuer": .boolean(true)]))
      )
    } catch { answer = .failure(error) }
    await client.exchange.close()
    guard let token = try answer.get()["token"]?.text else {
      throw CommandFailure(.failed, "the first node made no join token: see its log above")
    }
    do throws(NodeError) {
      _ = try await ClusterSetup.join(configuration, with: Invitation(text: token))
    } catch {
      throw CommandFailure(error)
    }
  }
}
