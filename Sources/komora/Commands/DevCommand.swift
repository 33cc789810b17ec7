// `komora dev`: nodes on this machine, with their own CA, keys and profile, in one go.

import ArgumentParser
import Foundation

struct DevCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dev",
    abstract: "Run nodes on this machine with everything that they need; a second start goes on with the same data.")

  @Option(help: "The directory of everything; default: ~/.local/share/komora-dev.")
  var data: String?

  @Option(
    help: "The first node's API port; S3 listens on the next one, the fabric on the one after. Node i: 10 i more.")
  var port = 7400

  @Option(help: "How many nodes: one stands alone, more are a cluster with an etcd of its own.")
  var nodes: Int?

  @Option(help: "Their regions, with commas between; used in turn when there are more nodes.")
  var regions: String?

  @Flag(help: "End when a node ends, instead of starting it again after 3 s.")
  var noRespawn = false

  @Option(help: "The least that the nodes log: debug, info, notice, warning, error.")
  var logLevel = "notice"

  private var regionNames: [String] {
    regions?.split(separator: ",", omittingEmptySubsequences: false).map(String.init) ?? []
  }

  func validate() throws {
    guard (1...65_533).contains(port) else { throw ValidationError("--port wants a number from 1 to 65533.") }
    guard (1...32).contains(nodes ?? 1), port + 10 * ((nodes ?? 1) - 1) + 4 <= 65_535 else {
      throw ValidationError("--nodes wants a number from 1 to 32, with room for 10 ports each behind --port.")
    }
    for region in regionNames {
      guard (1...63).contains(region.utf8.count),
        region.utf8.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) || $0 == 45 })
      else { throw ValidationError("--regions wants names of a-z, 0-9 and - with commas between.") }
    }
  }

  func run() async throws {
    let environment = ProcessInfo.processInfo.environment
    let base = environment["XDG_DATA_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? NSHomeDirectory() + "/.local/share"
    let root = URL(fileURLWithPath: data ?? base + "/komora-dev").standardizedFileURL.path
    let layout = DevLayout(root: root)
    let present = Self.nodesPresent(layout)
    // A second start without numbers goes on with what is there.
    let count = nodes ?? max(present, regionNames.count, 1)
    guard count >= present else {
      throw CommandFailure(
        .refused, "\(root) holds \(present) nodes: start all of them with --nodes \(present), or choose another --data")
    }
    let isCluster = count > 1 || Self.isCluster(layout)
    if let former = Self.portPresent(layout), former != port, Self.isCluster(layout) {
      throw CommandFailure(
        .refused,
        "the cluster in \(root) has its addresses from --port \(former): start it with that, or choose another --data")
    }
    let names = regionNames.isEmpty ? ["local"] : regionNames
    let regions = (0..<count).map { Self.regionPresent(layout, $0) ?? names[$0 % names.count] }
    let supervisor = try DevSupervisor(
      DevSettings(
        layout: layout, port: port, regions: regions, respawns: !noRespawn, logLevel: logLevel,
        profile: Profile.path(environment), isCluster: isCluster))
    try await supervisor.run()
  }

  private static func nodesPresent(_ layout: DevLayout) -> Int {
    (1...32).last { FileManager.default.fileExists(atPath: layout.node("node\($0)").configuration) } ?? 0
  }

  private static func isCluster(_ layout: DevLayout) -> Bool {
    FileManager.default.fileExists(atPath: layout.node("node1").root + "/keys/cluster")
  }

  /// The API's port of the first node's earlier start.
  private static func portPresent(_ layout: DevLayout) -> Int? {
    let path = layout.node("node1").configuration
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    return try? DevLayout.port(path)
  }

  /// The region that an earlier start gave to a node: it does not wander.
  private static func regionPresent(_ layout: DevLayout, _ node: Int) -> String? {
    let path = layout.node("node\(node + 1)").configuration
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    return try? DevLayout.region(path)
  }
}
