// What an operator decides about a node: names, addresses, directories, keys, timers, limits.
//
// It is read from TOML and from environment variables (`ConfigurationSchema` lists every key) and does not change while
// the node runs. Relative paths count from the directory of the file.

import Foundation

package struct NodeConfiguration: Sendable, Equatable {
  package var name = "node1"
  package var region = "local"
  package var zone = ""
  package var listen = Listen()
  package var tls = TLSFiles()
  package var cluster = Cluster()
  package var control = Control()
  package var fabric = FabricTimers()
  package var keys: KeySource
  package var adminTokenFile: String?
  package var paths: Paths
  package var timers = Timers()
  package var limits = NodeLimits()
  /// Nil: no copies off site.
  package var offSite: OffSite?

  package struct Listen: Sendable, Equatable {
    package var api = ListenAddress(host: "127.0.0.1", port: 7400)
    package var s3 = ListenAddress(host: "127.0.0.1", port: 7401)
    package var fabric = ListenAddress(host: "127.0.0.1", port: 7402)
  }

  /// PEM files: for the fabric (all three or none), and for the API and S3 ports.
  package struct TLSFiles: Sendable, Equatable {
    package var authority: String?
    package var certificate: String?
    package var key: String?
    package var apiCertificate: String?
    package var apiKey: String?

    package init(
      authority: String? = nil, certificate: String? = nil, key: String? = nil, apiCertificate: String? = nil,
      apiKey: String? = nil
    ) {
      self.authority = authority
      self.certificate = certificate
      self.key = key
      self.apiCertificate = apiCertificate
      self.apiKey = apiKey
    }
  }

  package struct Cluster: Sendable, Equatable {
    package var name = "komora"
    package var seeds: [String] = []
    /// An IP address.
    package var advertise: String?
  }

  package struct Control: Sendable, Equatable {
    package enum Engine: Sendable { case embedded, etcd }
    package var engine = Engine.embedded
    package var endpoints: [String] = []
    package var isManaged = false
    package var authority: String?
    package var certificate: String?
    package var key: String?
  }

  package enum KeySource: Sendable, Equatable {
    case file(String)
    case passphrase(file: String)
    case command([String])
  }

  package struct Paths: Sendable, Equatable {
    package var data: String
    package var archive: String
    package var temporary: String
    package var keys: String

    /// The layout below one directory, as `komora dev` makes it.
    package init(below directory: String) {
      data = directory + "/data"
      archive = directory + "/archive"
      temporary = directory + "/tmp"
      keys = directory + "/keys"
    }
  }

  package struct Timers: Sendable, Equatable {
    /// Minutes after midnight in the account's time zone.
    package var snapshotFrom = 120
    package var snapshotTo = 240
    package var schedulerInterval = Duration.seconds(30)
    /// What a lost node may take with it of the moments between snapshots.
    package var archiveLogPeriod = Duration.seconds(60)
    package var archiveUpkeepPeriod = Duration.seconds(6 * 3600)
    package var retention = Duration.seconds(7 * 86_400)
    package var offSitePeriod = Duration.seconds(300)
    package var jobHistory = Duration.seconds(86_400)
    package var shutdownTimeout = Duration.seconds(20)
    package var leaveNotice = Duration.seconds(2)
    package var requestTimeout = Duration.seconds(30)
    package var transactionTimeout = Duration.seconds(60)
    package var transactionIdle = Duration.seconds(10)
    package var uploadIdle = Duration.seconds(60)

    package init() {}
  }

  package struct NodeLimits: Sendable, Equatable {
    package var sqlRequestBytes = 32 << 20
    package var sqlResultBytes = 32 << 20
    package var sqlResultRowsCount = 1_000_000
    package var sqlStreamsCount = 128
    package var adminRequestBytes = 1 << 20
    package var recordingBytes = 5 << 30
    package var connectionsCount = 4096
    package var jobsCount = 2
    package var openAccountsCount = 2000
    package var writersCount = 4
    package var temporaryBytes = 1 << 30
    package var diskFillPermille = 900

    package init() {}
  }

  /// All defaults, everything below one directory.
  package init(directory: String) {
    paths = Paths(below: directory)
    keys = .file(paths.keys + "/kek")
  }

  package static func load(
    file: String, environment: [String: String]
  ) throws(ConfigurationError) -> NodeConfiguration {
    guard let data = FileManager.default.contents(atPath: file) else {
      throw ConfigurationError("cannot be read: give the path of a node's TOML file", source: file)
    }
    guard let text = String(validating: data, as: UTF8.self) else {
      throw ConfigurationError("not UTF-8", source: file)
    }
    let directory = URL(fileURLWithPath: file).deletingLastPathComponent().path
    return try NodeConfiguration(text: text, source: file, directory: directory, environment: environment)
  }
}
