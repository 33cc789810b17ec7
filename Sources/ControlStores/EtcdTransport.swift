// How requests reach an etcd server: HTTP in production, whatever a test likes to answer in a test.

package protocol EtcdTransport: Sendable {
  /// One request and its whole answer.
  func post(_ url: String, _ body: [UInt8]) async throws -> (status: Int, bytes: [UInt8])

  /// One request whose answer does not end: `opened` hears its status, then `part` what comes, piece by piece. Returns
  /// when the server ends it, throws what they throw.
  func follow(
    _ url: String, _ body: [UInt8], opened: (Int) throws -> Void, part: ([UInt8]) throws -> Void
  ) async throws

  func close() async
}
