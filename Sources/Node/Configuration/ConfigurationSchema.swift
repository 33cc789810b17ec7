// Every key of a node's configuration. What is not here is refused; what is here is documented by its own entry.

package enum ConfigurationSchema {
  package static let keys: [ConfigurationKey] = node + security + timers + limits

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
    .init("cluster.name", .text, "komora", "name of the cluster"),
    .init("cluster.seeds", .texts, "", "fabric addresses of other nodes; empty: this node stands alone"),
    .init("control.engine", .choice(["embedded", "etcd"]), "embedded", "where what must be agreed on is kept"),
    .init("control.endpoints", .texts, "", "addresses of etcd"),
    .init("control.managed", .boolean, "false", "whether the node configures an etcd member of its own"),
    .init("paths.archive", .text, nil, "directory of the archive; default: archive, beside node.data"),
    .init("paths.temporary", .text, nil, "directory of temporary files; default: tmp, beside node.data"),
    .init("paths.keys", .text, nil, "directory of keys; default: keys, beside node.data"),
  ]

  private static let security: [ConfigurationKey] = [
    .init("tls.ca", .text, nil, "certificate of the fabric's CA, PEM"),
    .init("tls.cert", .text, nil, "this node's certificate for the fabric, PEM"),
    .init("tls.key", .text, nil, "its key, PEM"),
    .init("tls.api_cert", .text, nil, "certificate chain for the API and S3 ports, PEM"),
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
    .init("timers.retention", .duration, "7d", "how long the archive can restore what was"),
    .init("timers.job_history", .duration, "24h", "how long a finished job can be asked about"),
    .init("timers.shutdown_timeout", .duration, "20s", "how long requests in flight may take at the end"),
    .init("timers.request_timeout", .duration, "30s", "longest statement or batch"),
    .init("timers.transaction_timeout", .duration, "60s", "longest interactive transaction"),
    .init("timers.transaction_idle", .duration, "10s", "longest pause inside one"),
    .init("timers.upload_idle", .duration, "60s", "longest pause of an upload or download"),
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
  ]
}
