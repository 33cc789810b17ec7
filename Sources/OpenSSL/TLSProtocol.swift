// What a connection to the fabric's port is for, as ALPN says it (RFC 7301).
//
// The client names one, the server takes it or ends the handshake; a connection without one is refused. Only on `join`
// does the server ask for no certificate, and only where it serves joins at all.

import COpenSSL

package enum TLSProtocol: String, Sendable, CaseIterable {
  /// Between members: both show a certificate.
  case fabric = "komora/1"
  /// Somebody who has no certificate yet asks for one.
  case join = "komora-join/1"

  /// One name of the list that a client sends.
  var wire: [UInt8] { [UInt8(rawValue.utf8.count)] + rawValue.utf8 }

  /// Which of them a session agreed on.
  init?(selectedBy session: OpaquePointer) {
    var start: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    SSL_get0_alpn_selected(session, &start, &count)
    guard let start else { return nil }
    self.init(rawValue: String(decoding: UnsafeBufferPointer(start: start, count: Int(count)), as: UTF8.self))
  }

  func offer(by session: OpaquePointer) {
    let wire = wire
    // Zero is success, unlike everywhere else in OpenSSL.
    precondition(SSL_set_alpn_protos(session, wire, UInt32(wire.count)) == 0, "OpenSSL: set_alpn_protos")
  }

  /// Lets every session of a server's context choose.
  static func choose(for context: OpaquePointer, servesJoins: Bool) {
    // The argument is a mark, never followed: joins are served when it is not nil.
    let mark = servesJoins ? UnsafeMutableRawPointer(context) : nil
    SSL_CTX_set_alpn_select_cb(
      context,
      { session, chosen, chosenCount, offered, count, mark in
        guard let session, let chosen, let chosenCount, let offered else { return SSL_TLSEXT_ERR_ALERT_FATAL }
        let list = UnsafeBufferPointer(start: offered, count: Int(count))
        for wanted in mark == nil ? [TLSProtocol.fabric] : [.fabric, .join] {
          guard let place = wanted.place(in: list) else { continue }
          if wanted == .join { SSL_set_verify(session, SSL_VERIFY_NONE, nil) }
          chosen.pointee = offered + place + 1
          chosenCount.pointee = offered[place]
          return SSL_TLSEXT_ERR_OK
        }
        return SSL_TLSEXT_ERR_ALERT_FATAL
      }, mark)
  }

  /// Where its length lies in a list; the list may be anything.
  private func place(in list: UnsafeBufferPointer<UInt8>) -> Int? {
    let wire = wire
    var place = 0
    while place < list.count {
      let end = place + 1 + Int(list[place])
      guard end <= list.count else { return nil }
      if list[place..<end].elementsEqual(wire) { return place }
      place = end
    }
    return nil
  }
}
