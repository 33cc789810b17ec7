// What a channel between two nodes carries: two endpoints on two loops, over the real loopback with mutual TLS.
//
// Throughput is one way, in messages of a size, as replication sends its appends; the round trip is one small message
// there and back at a time, as a beat is. `--window` is the channel's, in KiB; `--delay` milliseconds one way.

import Base
import Fabric
import Formats
import Glibc
import OpenSSL
import UVLoop

/// Method 10 echoes, method 11 takes everything and says at the end how much it was.
struct BenchService: FabricService {
  let channelWindow: Int

  func window(of method: UInt16) -> Int? { channelWindow }
  func permits(_ method: UInt16, to peer: X509Identity) -> Bool { true }
  func answer(_ method: UInt16, _ question: [UInt8], from peer: X509Identity) async -> [UInt8]? { question }
  func heard(_ datagram: [UInt8], from sender: NodeID, at address: SocketAddress) {}
  func shape(of method: UInt16) -> FabricShape { method < 10 ? .question : .channel }

  func serve(_ channel: FabricChannel, _ method: UInt16, from peer: X509Identity) async {
    do {
      var count: UInt64 = 0
      while let bytes = try await channel.receive() {
        count += UInt64(bytes.count)
        if method == 10 { try await channel.send(bytes) }
      }
      if method == 11 {
        var writer = ByteWriter(capacity: 8)
        writer.put(count)
        try await channel.send(writer.bytes)
      }
      await channel.finish()
    } catch {}
  }
}

/// Lives on the caller's loop, as the machines do whose messages these are.
actor BenchSender {
  nonisolated let loop: UVLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  init(_ loop: UVLoop) { self.loop = loop }

  /// Gives what the other side says that it took.
  func send(_ message: [UInt8], over channel: FabricChannel, seconds: Double) async throws -> UInt64 {
    let clock = ContinuousClock()
    let start = clock.now
    while clock.now - start < .seconds(seconds) { try await channel.send(message) }
    await channel.finish()
    var answer: [UInt8] = []
    while let bytes = try await channel.receive() { answer += bytes }
    var reader = ByteReader(answer)
    return try reader.take(UInt64.self)
  }

  func roundTrips(_ message: [UInt8], over channel: FabricChannel, count: Int) async throws -> [Duration] {
    let clock = ContinuousClock()
    var times: [Duration] = []
    for _ in 0..<count {
      let start = clock.now
      try await channel.send(message)
      var back = 0
      while back < message.count { back += try await channel.receive()?.count ?? message.count }
      times.append(clock.now - start)
    }
    await channel.cancel()
    return times.sorted()
  }
}

@main
struct FabricBench {
  static let to = NodeID(bits: 2)

  static func main() async throws {
    let arguments = CommandLine.arguments
    func option(_ name: String, _ standard: Double) -> Double {
      let place = arguments.firstIndex(of: name).map { $0 + 1 }
      return place.flatMap { $0 < arguments.count ? Double(arguments[$0]) : nil } ?? standard
    }
    let (near, far) = (UVLoop(name: "near"), UVLoop(name: "far"))
    let now = Int64(time(nil))
    let authority = try X509Authority.make(name: "bench", validity: (now - 60)...(now + 3600))
    let window = Int(option("--window", 256)) << 10
    func endpoint(_ number: UInt64, _ loop: UVLoop) async throws -> (FabricEndpoint, SocketAddress) {
      let key = X509Key.generate()
      let identity = try X509Identity(cluster: "bench", region: "eu", id: NodeID(bits: UInt128(number)), role: .node)
      let leaf = try authority.issue(
        X509Request.make(key), for: identity, validity: (now - 60)...(now + 3600))
      let configuration = FabricConfiguration(
        address: .loopback(),
        credentials: TLSCredentials(
          authorities: [authority.certificate.pem], certificate: leaf.pem, key: key.pem),
        datagramKeys: DatagramKeys(primary: 1, SecretBytes([UInt8](repeating: 1, count: 32))))
      let endpoint = try FabricEndpoint(configuration, on: loop, service: BenchService(channelWindow: window))
      return (endpoint, try await endpoint.start())
    }
    let (a, _) = try await endpoint(1, near)
    let (b, there) = try await endpoint(2, far)
    let (between, delay) = (UVLoop(name: "between"), Int64(option("--delay", 0) * 1e6))
    let address = delay == 0 ? there : try await DelayRelay(between, delay: delay).start(to: there)
    await a.keep(to, at: address)
    for size in [4 << 10, 16 << 10, 64 << 10] {
      try await throughput(a, address, size, seconds: option("--seconds", 2))
    }
    try await roundTrips(a, address, count: Int(option("--rounds", 20_000)))
    await a.close()
    await b.close()
    for loop in [near, far, between] { loop.stop() }
  }

  private static func cpuSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  private static func throughput(
    _ a: FabricEndpoint, _ address: SocketAddress, _ size: Int, seconds: Double
  ) async throws {
    let channel = try await a.open(to, at: address, method: 11, priority: .normal)
    let (clock, cpu) = (ContinuousClock(), cpuSeconds())
    let start = clock.now
    let count = Double(
      try await BenchSender(a.loop).send(SystemRandom.bytes(size), over: channel, seconds: seconds))
    let taken = (clock.now - start) / .seconds(1)
    let cost = ((cpuSeconds() - cpu) / count * 1e10).rounded() / 10
    print("\(size >> 10) KiB: \(Int(count / taken / 1e6)) MB/s, \(cost) ns of CPU a byte on both sides")
  }

  private static func roundTrips(_ a: FabricEndpoint, _ address: SocketAddress, count: Int) async throws {
    for priority in [FabricPriority.urgent, .normal] {
      let channel = try await a.open(to, at: address, method: 10, priority: priority)
      let times = try await BenchSender(a.loop).roundTrips(SystemRandom.bytes(200), over: channel, count: count)
      func microseconds(_ part: Double) -> Int { Int(times[Int(Double(count - 1) * part)] / .microseconds(1)) }
      print("200 bytes there and back, \(priority): p50 \(microseconds(0.5)) us, p99 \(microseconds(0.99)) us")
    }
  }
}
