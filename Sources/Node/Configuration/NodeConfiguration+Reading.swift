// From keys and values to the structure, with the rules that reach over several keys.

import Foundation
import Membership

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
    tls = TLSFiles(
      authority: values.path("tls.ca"), certificate: values.path("tls.cert"), key: values.path("tls.key"),
      apiCertificate: values.path("tls.api_cert"), apiKey: values.path("tls.api_key"))
    cluster = Cluster(
      name: values.text("cluster.name"), seeds: values.texts("cluster.seeds"),
      advertise: values.optionalText("cluster.advertise"))
    control = Control(
      engine: values.text("control.engine") == "etcd" ? .etcd : .embedded, endpoints: values.texts("control.endpoints"),
      isManaged: values.boolean("control.managed"), authority: values.path("control.ca"),
      certificate: values.path("control.cert"), key: values.path("control.key"))
    readTimers(values)
    readFabricTimers(values)
    readLimits(values)
    offSite = try Self.offSite(values, source)
    try checkRelations(source)
  }

  private mutating func readTimers(_ values: Values) {
    timers.snapshotFrom = values.number("timers.snapshot_from")
    timers.snapshotTo = values.number("timers.snapshot_to")
    timers.schedulerInterval = values.duration("timers.scheduler_interval")
    timers.archiveLogPeriod = values.duration("timers.archive_log_period")
    timers.archiveUpkeepPeriod = values.duration("timers.archive_upkeep_period")
    timers.retention = values.duration("timers.retention")
    timers.offSitePeriod = values.duration("timers.offsite_period")
    timers.jobHistory = values.duration("timers.job_history")
    timers.shutdownTimeout = values.duration("timers.shutdown_timeout")
    timers.leaveNotice = values.duration("timers.leave_notice")
    timers.requestTimeout = values.duration("timers.request_timeout")
    timers.transactionTimeout = values.duration("timers.transaction_timeout")
    timers.transactionIdle = values.duration("timers.transaction_idle")
    timers.uploadIdle = values.duration("timers.upload_idle")
  }

  private mutating func readFabricTimers(_ values: Values) {
    fabric.isWide = values.text("timers.membership") == "wan"
    fabric.probePeriod = values.optionalDuration("timers.probe_period")
    fabric.probeTimeout = values.optionalDuration("timers.probe_timeout")
    fabric.gossipPeriod = values.optionalDuration("timers.gossip_period")
    fabric.pushPullPeriod = values.optionalDuration("timers.push_pull_period")
    fabric.reconnectPeriod = values.optionalDuration("timers.reconnect_period")
    fabric.leaveLinger = values.optionalDuration("timers.leave_linger")
    fabric.handshakeTimeout = values.duration("timers.handshake_timeout")
    fabric.questionTimeout = values.duration("timers.question_timeout")
    fabric.healthSample = values.duration("timers.health_sample")
    fabric.controlTimeout = values.duration("timers.control_timeout")
    fabric.controlWait = values.duration("timers.control_wait")
    fabric.controlHeartbeat = values.optionalDuration("timers.control_heartbeat")
    fabric.controlElection = values.optionalDuration("timers.control_election")
    fabric.caretakerLease = values.duration("timers.caretaker_lease")
    fabric.caretakerInterval = values.duration("timers.caretaker_interval")
    fabric.datagramKeyRotation = values.duration("timers.datagram_key_rotation")
    fabric.certificateLife = values.duration("timers.certificate_life")
    fabric.invitationLife = values.duration("timers.invitation_life")
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
    limits.diskFillPermille = values.number("limits.disk_fill_permille")
  }

  private func checkRelations(_ source: String) throws(ConfigurationError) {
    guard timers.snapshotFrom < timers.snapshotTo else {
      throw ConfigurationError("`timers.snapshot_from` must lie before `timers.snapshot_to`", source: source)
    }
    guard timers.archiveLogPeriod >= .milliseconds(1) else {
      throw ConfigurationError("`timers.archive_log_period` must be at least \"1ms\"", source: source)
    }
    guard timers.archiveUpkeepPeriod >= .milliseconds(1) else {
      throw ConfigurationError("`timers.archive_upkeep_period` must be at least \"1ms\"", source: source)
    }
    guard timers.offSitePeriod >= .milliseconds(1) else {
      throw ConfigurationError("`timers.offsite_period` must be at least \"1ms\"", source: source)
    }
    guard timers.retention >= .seconds(86_400) else {
      throw ConfigurationError("`timers.retention` must be at least \"1d\"", source: source)
    }
    guard name.utf8.count <= 63, !name.isEmpty,
      name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") })
    else { throw ConfigurationError("`node.name` wants 1 to 63 letters, digits and hyphens", source: source) }
    try checkCluster(source)
  }

  private func checkCluster(_ source: String) throws(ConfigurationError) {
    for (key, text) in [("cluster.name", cluster.name), ("node.region", region)] {
      guard (1...63).contains(text.utf8.count),
        text.utf8.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) || $0 == 45 })
      else { throw ConfigurationError("`\(key)` wants 1 to 63 of a-z, 0-9 and -", source: source) }
    }
    if let problem = fabric.swim.problem { throw ConfigurationError("in [timers], \(problem)", source: source) }
    guard fabric.invitationLife <= .seconds(900) else {
      throw ConfigurationError("`timers.invitation_life` is at most \"15min\"", source: source)
    }
    guard fabric.caretakerLease >= .seconds(1), fabric.caretakerInterval * 3 <= fabric.caretakerLease else {
      throw ConfigurationError(
        "`timers.caretaker_lease` is at least \"1s\" and three times `timers.caretaker_interval`", source: source)
    }
    let isOutside = !control.endpoints.isEmpty
    guard control.engine == .etcd ? isOutside != control.isManaged : !isOutside && !control.isManaged else {
      throw ConfigurationError(
        "[control] wants engine = \"etcd\" with either managed = true or endpoints, or engine = \"embedded\" alone",
        source: source)
    }
    if isOutside, control.authority == nil || control.certificate == nil || control.key == nil {
      throw ConfigurationError(
        "`control.endpoints` want `control.ca`, `control.cert` and `control.key`: etcd is used with client certificates "
          + "only", source: source)
    }
    if [tls.authority, tls.certificate, tls.key].contains(where: { ($0 == nil) != (tls.authority == nil) }) {
      throw ConfigurationError("`tls.ca`, `tls.cert` and `tls.key` belong together", source: source)
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
  struct Values {
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
    func optionalText(_ path: String) -> String? {
      guard case .text(let text) = reader[path], !text.isEmpty else { return nil }
      return text
    }
    func optionalDuration(_ path: String) -> Duration? {
      guard case .duration(let duration) = reader[path] else { return nil }
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
