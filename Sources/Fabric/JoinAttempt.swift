// One attempt of a joiner: a link, a stream, an answer, under one deadline.

import Formats
import OpenSSL
import UVLoop

actor JoinAttempt {
  nonisolated let loop: UVLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  private let opening: FabricOpening
  private let question: [UInt8]
  private var answer: [UInt8] = []
  private var link: FabricLink?
  private var isReady = false
  private var alarm: UVTimer?
  private var waiter: CheckedContinuation<Result<[UInt8], FabricError>, Never>?

  init(on loop: UVLoop, method: UInt16, _ question: [UInt8]) {
    self.loop = loop
    self.question = question
    opening = FabricOpening(method: method, priority: .normal)
  }

  func run(
    at address: SocketAddress, _ pin: [UInt8], _ cluster: String?, _ deadline: Duration
  ) async -> Result<[UInt8], FabricError> {
    await withTaskCancellationHandler {
      await withCheckedContinuation { waiter in
        if Task.isCancelled { return waiter.resume(returning: .failure(FabricError(.cancelled, "cancelled"))) }
        self.waiter = waiter
        do throws(UVError) {
          try start(address, TLSPin(authority: pin, cluster: cluster), deadline)
        } catch {
          finish(.failure(FabricError(.unreachable, "\(error)")))
        }
      }
    } onCancel: {
      Task { await self.finish(.failure(FabricError(.cancelled, "cancelled"))) }
    }
  }

  private func start(_ address: SocketAddress, _ pin: TLSPin, _ deadline: Duration) throws(UVError) {
    let alarm = try UVTimer(on: loop) { _ in self.finish(.failure(FabricError(.deadline, "no answer in time"))) }
    self.alarm = alarm
    alarm.start(after: deadline)
    let link = try FabricLink(
      joining: address, on: loop, pin: pin, limits: .joining(helloTimeout: max(deadline.nanoseconds, 1)),
      handshakeTimeout: deadline)
    self.link = link
    link.onEffect = { effect in self.saw(effect) }
    link.onEnd = { end in self.ended(end) }
  }

  private func saw(_ effect: FabricEffect) {
    switch effect {
    case .ready:
      isReady = true
      link?.handle(.open(opening, question, ends: true))
    case .data(let id, let bytes, let ends):
      link?.handle(.consumed(id, bytes.count))
      guard answer.count + bytes.count <= FabricJoiner.bytesMax else {
        return finish(.failure(FabricError(.tooLarge, "answer too large")))
      }
      answer += bytes
      if ends { finish(.success(answer)) }
    case .ended(_, .cancelledByPeer), .ended(_, .refusedByPeer):
      finish(.failure(FabricError(.refused, "the member gave no answer to this question")))
    case .refused: finish(.failure(FabricError(.tooLarge, "question too large")))
    case .transmit, .accepted, .sendable, .ended, .closed: break
    }
  }

  private func ended(_ end: FabricLink.End) {
    let code: FabricError.Code =
      switch FabricLoss(end, wasReady: isReady) {
      case .refused: .refused
      case .closed, .lost, .here: isReady ? .lost : .unreachable
      case .silent, .unreachable: .unreachable
      }
    finish(.failure(FabricError(code, "no answer: \(end.name)", reason: end.name)))
  }

  private func finish(_ result: Result<[UInt8], FabricError>) {
    guard let waiter else { return }
    self.waiter = nil
    alarm?.close()
    link?.close()
    waiter.resume(returning: result)
  }
}
