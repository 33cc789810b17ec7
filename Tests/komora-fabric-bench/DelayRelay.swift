// A relay of bytes that takes its time in both directions: two regions on one machine.

import Fabric
import UVLoop

actor DelayRelay {
  nonisolated let loop: UVLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
  private let delay: Int64
  private var listener: UVListener?
  private var timer: UVTimer?
  private var waiting: [(due: Int64, bytes: [UInt8], to: UVConnection)] = []
  private var first = 0

  /// `delay` in nanoseconds, one way.
  init(_ loop: UVLoop, delay: Int64) { (self.loop, self.delay) = (loop, delay) }

  func start(to target: SocketAddress) throws -> SocketAddress {
    let timer = try UVTimer(on: loop) { _ in self.pass() }
    self.timer = timer
    timer.start(after: .milliseconds(1), every: .milliseconds(1))
    let listener = try UVListener(on: loop, bind: .loopback()) { near in
      guard let far = try? UVConnection(on: self.loop, to: target, handlers: .init()) else { return near.close() }
      near.queuedBytesMax = 256 << 20
      far.queuedBytesMax = 256 << 20
      near.handlers.received = { self.take($0, to: far) }
      far.handlers.received = { self.take($0, to: near) }
      near.handlers.ended = { far.close() }
      far.handlers.ended = { near.close() }
      far.handlers.connected = {
        far.startReading()
        near.startReading()
      }
    }
    self.listener = listener
    return listener.address!
  }

  private func take(_ bytes: RawSpan, to: UVConnection) {
    waiting.append((FabricLink.now() + delay, bytes.withUnsafeBytes { [UInt8]($0) }, to))
  }

  private func pass() {
    let now = FabricLink.now()
    while first < waiting.count, waiting[first].due <= now {
      waiting[first].to.write(waiting[first].bytes)
      waiting[first].bytes = []
      first += 1
    }
    if first == waiting.count || first > 4096 {
      waiting.removeFirst(first)
      first = 0
    }
  }
}
