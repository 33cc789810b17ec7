// Every key of a node's configuration. What is not here is refused; what is here is documented by its own entry.

package enum ConfigurationSchema {
  package static let keys: [ConfigurationKey] = node + security + timers + fabric + offSite + limits

  static let sections: [String] = keys.reduce(into: []) { if !$0.contains($1.section) { $0.append($1.section) } }

  static func key(_ section: String, _ name: String) -> ConfigurationKey? {
    keys.first { $0.section == section && $0.name == name }
  }

  private static let node: [ConfigurationKey] = [
    .init("node.name", .text, "node1", "this node's name, shown to clients"),
    .init("node.region", .text, "local", "the region it stands in"),
    .init("node.zone", .text, "", "the failure domain inside the region"),
    .init("node.data", .text, nil, "directory of the accounts' shards and of the commit log"),
    .init("listen.api", .address, "127.0.0.1:7400", "HTTPS: admin API and SQL"),
    .init("listen.s3", .address, "127.0.0.1:7401", "HTTPS: S3"),
    .init("listen.fabric", .address, "127.0.0.1:7402", "between nodes; unused by a node that stands alone"),
    .init("cluster.name", .text, "komora", "name of the cluster: 1 to 63 of a-z, 0-9 and -"),
    .init("cluster.seeds", .texts, "", "fabric addresses of issuers that a join asks beside those of its token"),
    .init("cluster.advertise", .text, nil, "IP address that other nodes and clients use; default: those of [listen]"),
    .init("control.engine", .choice(["embedded", "etcd"]), "embedded", "where what must be agreed on is kept"),
    .init("control.endpoints", .texts, "", "URLs of an etcd that stands outside, such as https://10.0.0.9:2379"),
    .init("control.managed", .boolean, "false", "whether the nodes of the cluster run etcd themselves"),
    .init("control.ca", .text, nil, "certificate of the outside etcd's CA, PEM"),
    .init("control.cert", .text, nil, "certificate for the outside etcd, PEM"),
    .init("control.key", .text, nil, "its key, PEM"),
    .init("paths.archive", .text, nil, "directory of the archive; default: archive, beside node.data"),
    .init("paths.temporary", .text, nil, "directory of temporary files; default: tmp, beside node.data"),
    .init("paths.keys", .text, nil, "directory of keys; default: keys, beside node.data"),
  ]

  private static let security: [ConfigurationKey] = [
    .init("tls.ca", .text, nil, "certificate of the fabric's CA, PEM; default: the cluster's own"),
    .init("tls.cert", .text, nil, "this node's certificate for the fabric, PEM; default: issued by the cluster"),
    .init("tls.key", .text, nil, "its key, PEM"),
    .init(
      "tls.api_cert", .text, nil, "certificate chain for the API and S3 ports, PEM; default: issued by the cluster"),
    .init("tls.api_key", .text, nil, "its key, PEM"),
    .init(
      "keys.provider", .choice(["file", "passphrase", "command"]), "file", "where the key-encryption key comes from"),
    .init("keys.file", .text, nil, "file of the key-encryption key; default: kek in paths.keys"),
    .init("keys.passphrase_file", .text, nil, "file with the passphrase"),
    .init("keys.command", .texts, "", "program and arguments that wrap and unwrap"),
    .init("keys.admin_token_file", .text, nil, "file with a token that may do everything, for as long as it is there"),
  ]

  private static let timers: [ConfigurationKey] = [
    .init("timers.snapshot_from", .timeOfDay, "02:00", "start of the nightly window, in each account's time zone"),
    .init("timers.snapshot_to", .timeOfDay, "04:00", "its end; accounts are spread over it"),
    .init("timers.scheduler_interval", .duration, "30s", "how often due snapshots are looked for"),
    .init("timers.archive_log_period", .duration, "60s", "how often the log of accounts with new records is archived"),
    .init(
      "timers.archive_upkeep_period", .duration, "6h",
      "how often archives let go of what is older than the retention, and join small files of the log"),
    .init("timers.retention", .duration, "7d", "how long the archive can restore what was"),
    .init("timers.offsite_period", .duration, "5min", "how often what is new in archives is copied off site"),
    .init("timers.job_history", .duration, "24h", "how long a finished job can be asked about"),
    .init("timers.shutdown_timeout", .duration, "20s", "how long requests in flight may take at the end"),
    .init(
      "timers.leave_notice", .duration, "2s",
      "how long a node of a cluster that stops still answers while /readyz says no: longer than load balancers ask"),
    .init("timers.request_timeout", .duration, "30s", "longest statement or batch"),
    .init("timers.transaction_timeout", .duration, "60s", "longest interactive transaction"),
    .init("timers.transaction_idle", .duration, "10s", "longest pause inside one"),
    .init("timers.upload_idle", .duration, "60s", "longest pause of an upload or download"),
  ]

  /// Membership's profile gives every timer below that is left at "profile".
  private static let fabric: [ConfigurationKey] = [
    .init("timers.membership", .choice(["lan", "wan"]), "lan", "wan: nodes whose round trips are over 100 ms"),
    .init("timers.probe_period", .optionalDuration, "profile", "one member is probed per period"),
    .init("timers.probe_timeout", .optionalDuration, "profile", "longest direct answer; at most half the period"),
    .init("timers.gossip_period", .optionalDuration, "profile", "how often news are passed on"),
    .init("timers.push_pull_period", .optionalDuration, "profile", "how often two members compare everything"),
    .init("timers.reconnect_period", .optionalDuration, "profile", "how often a dead member is tried again"),
    .init("timers.leave_linger", .optionalDuration, "profile", "how long a node that goes says so"),
    .init("timers.handshake_timeout", .duration, "5s", "longest handshake between nodes"),
    .init("timers.question_timeout", .duration, "5s", "longest answer of another node"),
    .init("timers.health_sample", .duration, "1s", "how often a node measures its own health"),
    .init("timers.control_timeout", .duration, "5s", "longest answer of the control store"),
    .init("timers.control_wait", .duration, "60s", "how long a start waits for the control store"),
    .init("timers.control_heartbeat", .optionalDuration, "profile", "of a managed etcd: 100ms, or 300ms for wan"),
    .init("timers.control_election", .optionalDuration, "profile", "of a managed etcd: 1s, or 3s for wan"),
    .init("timers.caretaker_lease", .duration, "10s", "how soon another node takes the cluster's chores over"),
    .init("timers.caretaker_interval", .duration, "1s", "how often the chores are looked at"),
    .init("timers.datagram_key_rotation", .duration, "24h", "age at which the datagrams' key is replaced"),
    .init("timers.certificate_life", .duration, "90d", "of a node's certificate; renewed after two thirds"),
    .init("timers.invitation_life", .duration, "15min", "of a join token; 15min at most"),
  ]

  private static let offSite: [ConfigurationKey] = [
    .init(
      "offsite.url", .text, nil, "S3-compatible storage for copies of archives, https://HOST[:PORT]/BUCKET[/PREFIX]"),
    .init("offsite.region", .text, "us-east-1", "region of its signatures"),
    .init("offsite.access_key", .text, nil, "its access key"),
    .init("offsite.secret_file", .text, nil, "file with its secret key alone"),
    .init("offsite.ca", .text, nil, "certificate of its CA, PEM; default: the system's authorities"),
    .init("offsite.allow_private", .boolean, "false", "whether it may lie in a private network or on this machine"),
    .init(
      "offsite.lock", .choice(["none", "governance", "compliance"]), "none",
      "what keeps copies from being removed there for as long as timers.retention; the bucket needs object lock"),
    .init("offsite.part_bytes", .size, "8MiB", "larger files go in parts of this size; four are in memory"),
  ]

  private static let limits: [ConfigurationKey] = [
    .init("limits.sql_request_bytes", .size, "32MiB", "one SQL request"),
    .init("limits.sql_result_bytes", .size, "32MiB", "one SQL reply"),
    .init("limits.sql_result_rows_count", .count(1...100_000_000), "1000000", "rows of one statement"),
    .init("limits.sql_streams_count", .count(1...100_000), "128", "open interactive streams of one account"),
    .init("limits.admin_request_bytes", .size, "1MiB", "one request to the admin API"),
    .init("limits.recording_bytes", .size, "5GiB", "one recording"),
    .init("limits.connections_count", .count(1...1_000_000), "4096", "open connections of one port"),
    .init("limits.jobs_count", .count(1...1_000), "2", "jobs that run at a time; others wait"),
    .init("limits.open_accounts_count", .count(1...100_000), "2000", "accounts open at a time; others open on demand"),
    .init("limits.writers_count", .count(1...1_024), "4", "threads that run SQL"),
    .init("limits.temporary_bytes", .size, "1GiB", "temporary files of one account's statements"),
    .init(
      "limits.disk_fill_permille", .count(1...1_000), "900", "a fuller node gets no new replicas; alike on all nodes"),
  ]
}
