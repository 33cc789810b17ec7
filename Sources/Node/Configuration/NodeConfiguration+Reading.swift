// From keys and values to the structure, with the rules that reach over several keys.

import Foundation

extension NodeConfiguration {
  /// `directory` is where relative paths count from.
  package init(
    text: String, source: String = "", directory: String, environment: [String: String] = [:]
  ) throws(ConfigurationError) {
    let reader = try ConfigurationReader(text: text, source: source, environment: environment)
    let values = Values(reader: reader, directory: directory)
    guard let data = values.path("node.data") else {
      throw ConfigurationError("`node.data` is missing: name the directory of this node's data", source: source)
    }
    try Self.refuseCluster(values, source)
    let base = URL(fileURLWithPath: data).deletingLastPathComponent().path
    self.init(directory: base)
    paths.data = data
    paths.archive = values.path("paths.archive") ?? paths.archive
    paths.temporary = values.path("paths.temporary") ?? paths.temporary
    paths.keys = values.path("paths.keys") ?? paths.keys
    keys = try Self.keySource(values, paths, source)
    adminTokenFile = values.path("keys.admin_token_file")
    name = values.text("node.name")
    region = values.text("node.region")
    zone = values.text("node.zone")
    listen = Listen(
      api: values.address("listen.api"), s3: values.address("listen.s3"), fabric: values.address("listen.fabric"))
    tls = TLSFiles(apiCertificate: values.path("tls.api_cert"), apiKey: values.path("tls.api_key"))
    readTimers(values)
    readLimits(values)
    try checkRelations(source)
  }

  private mutating func readTimers(_ values: Values) {
    timers.snapshotFrom = values.number("timers.snapshot_from")
    timers.snapshotTo = values.number("timers.snapshot_to")
    timers.schedulerInterval = values.duration("timers.scheduler_interval")
    timers.retention = values.duration("timers.retention")
    timers.jobHistory = values.duration("timers.job_history")
    timers.shutdownTimeout = values.duration("timers.shutdown_timeout")
    timers.requestTimeout = values.duration("timers.request_timeout")
    timers.transactionTimeout = values.duration("timers.transaction_timeout")
    timers.transactionIdle = values.duration("timers.transaction_idle")
    timers.uploadIdle = values.duration("timers.upload_idle")
  }

  private mutating func readLimits(_ values: Values) {
    limits.sqlRequestBytes = values.number("limits.sql_request_bytes")
    limits.sqlResultBytes = values.number("limits.sql_result_bytes")
    limits.sqlResultRowsCount = values.number("limits.sql_result_rows_count")
    limits.sqlStreamsCount = values.number("limits.sql_streams_count")
    limits.adminRequestBytes = values.number("limits.admin_request_bytes")
    limits.recordingBytes = values.number("limits.recording_bytes")
    limits.connectionsCount = values.number("limits.connections_count")
    limits.jobsCount = values.number("limits.jobs_count")
    limits.openAccountsCount = values.number("limits.open_accounts_count")
    limits.writersCount = values.number("limits.writers_count")
    limits.temporaryBytes = values.number("limits.temporary_bytes")
  }

  private func checkRelations(_ source: String) throws(ConfigurationError) {
    guard timers.snapshotFrom < timers.snapshotTo else {
      throw ConfigurationError("`timers.snapshot_from` must lie before `timers.snapshot_to`", source: source)
    }
    guard timers.retention >= .seconds(86_400) else {
      throw ConfigurationError("`timers.retention` must be at least \"1d\"", source: source)
    }
    guard name.utf8.count <= 63, !name.isEmpty,
      name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") })
    else { throw ConfigurationError("`node.name` wants 1 to 63 letters, digits and hyphens", source: source) }
  }

  private static func refuseCluster(_ values: Values, _ source: String) throws(ConfigurationError) {
    guard values.texts("cluster.seeds").isEmpty, values.texts("control.endpoints").isEmpty,
      values.text("control.engine") == "embedded", !values.boolean("control.managed")
    else {
      throw ConfigurationError(
        "this version runs one node alone: leave `cluster.seeds` empty and `control.engine` \"embedded\"",
        source: source)
    }
  }

  private static func keySource(_ values: Values, _ paths: Paths, _ source: String) throws(ConfigurationError)
    -> KeySource
  {
    switch values.text("keys.provider") {
    case "passphrase":
      guard let file = values.path("keys.passphrase_file") else {
        throw ConfigurationError("`keys.passphrase_file` is missing for provider \"passphrase\"", source: source)
      }
      return .passphrase(file: file)
    case "command":
      let command = values.texts("keys.command")
      guard !command.isEmpty else {
        throw ConfigurationError("`keys.command` is missing for provider \"command\"", source: source)
      }
      return .command(command)
    default: return .file(values.path("keys.file") ?? paths.keys + "/kek")
    }
  }

  /// Values by path. A key whose kind does not fit its reader here is a mistake in the schema and traps.
  private struct Values {
    let reader: ConfigurationReader
    let directory: String

    func text(_ path: String) -> String {
      guard case .text(let text) = reader[path] else { preconditionFailure("\(path) has no text") }
      return text
    }
    func texts(_ path: String) -> [String] {
      guard case .texts(let texts) = reader[path] else { preconditionFailure("\(path) has no texts") }
      return texts
    }
    func boolean(_ path: String) -> Bool {
      guard case .boolean(let flag) = reader[path] else { preconditionFailure("\(path) has no boolean") }
      return flag
    }
    func number(_ path: String) -> Int {
      guard case .number(let number) = reader[path] else { preconditionFailure("\(path) has no number") }
      return number
    }
    func duration(_ path: String) -> Duration {
      guard case .duration(let duration) = reader[path] else { preconditionFailure("\(path) has no duration") }
      return duration
    }
    func address(_ path: String) -> ListenAddress {
      guard case .address(let address) = reader[path] else { preconditionFailure("\(path) has no address") }
      return address
    }
    func path(_ path: String) -> String? {
      guard case .text(let text) = reader[path], !text.isEmpty else { return nil }
      return text.hasPrefix("/") ? text : directory + "/" + text
    }
  }
}
