// A request that another node has passed on, seen from the node that answers it.

package import Base
package import Fabric
package import Formats
import Threads

package final class ForwardedCall: Sendable {
  package let request: ForwardedRequest
  /// When the client stops waiting.
  package let deadline: ContinuousClock.Instant
  private let bytes: ForwardingBytes
  private let asked = Lock(false)
  private let notHere = Lock<Epoch?>(nil)

  init(_ request: ForwardedRequest, _ bytes: ForwardingBytes) {
    self.request = request
    self.bytes = bytes
    deadline = .now + .milliseconds(Int(request.deadlineMilliseconds))
  }

  /// The next bytes of the request's body; nil at its end. Throws when the client or the node between gave it up.
  package func body() async throws(FabricError) -> [UInt8]? { try await bytes.body() }

  /// Lets a client that waits with its body send it.
  package func askForBody() async throws(FabricError) {
    let isFirst = asked.with { asked in
      defer { asked = true }
      return !asked
    }
    guard isFirst, request.waitsWithBody else { return }
    try await bytes.channel.send(Self.encoded(.wantsBody))
  }

  /// Notes that this node does not lead the account, so that the reply says so instead of what the handler gave.
  package func decline(_ epoch: Epoch) { notHere.with { $0 = epoch } }

  package var declined: Epoch? { notHere.with { $0 } }

  package func answerNotHere(_ epoch: Epoch) async throws(FabricError) {
    try await bytes.channel.send(Self.encoded(.notHere(epoch: epoch)))
    await bytes.channel.finish()
  }

  /// Sends the reply's head, with the first bytes of its body.
  package func answer(status: UInt16, _ fields: [ForwardedField], _ first: [UInt8]) async throws(FabricError) {
    let head: [UInt8]
    do throws(FormatError) { head = try ForwardedReply.head(status: status, fields: fields).encode() } catch {
      throw FabricError(.tooLarge, "the head of the reply cannot be passed on: \(error)")
    }
    try await bytes.channel.send(head + first)
  }

  package func send(_ piece: [UInt8]) async throws(FabricError) { try await bytes.channel.send(piece) }

  package func finish() async { await bytes.channel.finish() }

  package func cancel() async { await bytes.channel.cancel() }

  private static func encoded(_ reply: ForwardedReply) throws(FabricError) -> [UInt8] {
    do throws(FormatError) { return try reply.encode() } catch { throw FabricError(.tooLarge, "\(error)") }
  }
}
