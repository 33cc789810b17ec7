// Where an etcd is and how it is spoken to.

package struct EtcdConfiguration: Sendable {
  /// Such as `https://10.0.0.1:2379`; each is tried in turn.
  package var endpoints: [String]
  /// PEM files: the authority of the servers' certificates, our certificate (for clients) and its key.
  package var authorityPath: String
  package var certificatePath: String
  package var keyPath: String
  /// Comes before every key, so that an etcd can serve others too; ends with a slash.
  package var prefix: String
  package var connectTimeout = Duration.seconds(1)
  package var requestTimeout = Duration.seconds(5)
  /// The longest answer, and the longest line of a watch, that is read from a server.
  package var answerBytesMax = 64 << 20
  /// What may wait for the reader of one watch.
  package var watchBytesMax = 8 << 20

  package init(
    endpoints: [String], authorityPath: String, certificatePath: String, keyPath: String, prefix: String = "/komora/"
  ) {
    self.endpoints = endpoints
    self.authorityPath = authorityPath
    self.certificatePath = certificatePath
    self.keyPath = keyPath
    self.prefix = prefix
  }
}
