// A join token: what a new node needs in order to find the cluster, to know it for the right one, and to be let in once.
//
// It names the issuer's addresses and pins the authority of the fabric; its secret is stored hashed and is used up by
// the first join. `kj_` and base64url of JSON, so that it survives a copy through a terminal.

package import Base
import Foundation
import OpenSSL

package struct Invitation: Sendable, Equatable, Codable {
  static let prefix = "kj_"
  static let textBytesMax = 4096

  package var version = 1
  package var cluster: String
  /// SHA-256 of the authority's certificate, hexadecimal.
  package var pin: String
  /// Fabric addresses of the issuer.
  package var addresses: [String]
  package var id: String
  package var secret: String
  package var name: String
  package var region: String
  package var expiresAt: UnixMicroseconds

  package var text: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // A structure of texts and numbers is always encoded.
    let json = (try? encoder.encode(self)) ?? Data()
    let base64 = json.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
    return Self.prefix + base64.replacing("=", with: "")
  }

  package init(text: String) throws(NodeError) {
    let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
    let mistake = NodeError(
      .invalid, "that is no join token: copy the whole line that `komora cluster invite` printed, from kj_ on")
    guard trimmed.hasPrefix(Self.prefix), trimmed.utf8.count <= Self.textBytesMax else { throw mistake }
    var base64 = String(trimmed.dropFirst(Self.prefix.count)).replacing("-", with: "+").replacing("_", with: "/")
    base64 += String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
    guard let json = Data(base64Encoded: base64), let value = try? JSONDecoder().decode(Invitation.self, from: json),
      value.version == 1, [UInt8](hex: value.pin)?.count == 32, !value.addresses.isEmpty
    else { throw mistake }
    self = value
  }

  init(
    cluster: String, pin: [UInt8], addresses: [String], id: String, secret: String, name: String, region: String,
    expiresAt: UnixMicroseconds
  ) {
    self.cluster = cluster
    self.pin = pin.hex
    self.addresses = addresses
    self.id = id
    self.secret = secret
    self.name = name
    self.region = region
    self.expiresAt = expiresAt
  }

  static func hash(_ secret: String) -> [UInt8] { SHA256.hash(Array("komora join token v1".utf8) + Array(secret.utf8)) }
}

/// The value of `invitation/<id>`.
struct StoredInvitation: Codable {
  var version = 1
  var secretHash: String
  var name: String
  var region: String
  var makesIssuer: Bool
  /// Hosts that the node's certificates may name; empty: the address that it comes from.
  var hosts: [String]
  var expiresAt: UnixMicroseconds
}
