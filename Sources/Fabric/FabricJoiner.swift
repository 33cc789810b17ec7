// The side of a node that has no certificate yet: one question to a member that it knows by address and pin only.
//
// The connection proves the member to the joiner, not the joiner to the member; that is the question's affair (a join
// token). It needs no endpoint and leaves nothing behind.

package import UVLoop

package enum FabricJoiner {
  /// The method that is asked unless the cluster has another one configured.
  package static let method: UInt16 = 0xffff
  /// Of the question and of the answer.
  package static let bytesMax = 64 << 10

  /// `pin`: SHA-256 of the certificate of the cluster's authority in DER form; `cluster`: its name, where it is known.
  /// `refused` says that the member is not one of that cluster (`reason` names why), or does not take the question.
  package static func ask(
    at address: SocketAddress, on loop: UVLoop, pin: [UInt8], cluster: String? = nil, method: UInt16 = method,
    question: [UInt8], deadline: Duration
  ) async throws(FabricError) -> [UInt8] {
    guard question.count <= bytesMax else { throw FabricError(.tooLarge, "question too large") }
    return try await JoinAttempt(on: loop, method: method, question).run(at: address, pin, cluster, deadline).get()
  }
}
