// What a client is told by its program.

public struct KomoraConfiguration: Sendable {
  /// `address:port` of the fabric of some nodes; one that answers is enough, the others are found.
  public var nodes: [String]
  /// Of the cluster, PEM.
  public var authority: String
  /// Of the role `client`, with its key, PEM. They let the program ask; they open no account.
  public var certificate: String
  public var key: [UInt8]
  /// An account's token, or an administrator's with the scope `data`.
  public var token: String
  /// How long a request waits where it says nothing else.
  public var deadline: Duration = .seconds(30)

  public init(nodes: [String], authority: String, certificate: String, key: [UInt8], token: String) {
    self.nodes = nodes
    self.authority = authority
    self.certificate = certificate
    self.key = key
    self.token = token
  }
}
