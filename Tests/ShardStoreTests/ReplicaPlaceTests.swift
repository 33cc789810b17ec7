// How far a replica's log was: a place that never goes back, also when records of older epochs come behind a cut and the
// node stops in the middle of them; and what a node may not claim when its log lost what it had.

import Base
import Disk
import Formats
import ShardStore
import Testing
import Threads

@Suite(.timeLimit(.minutes(2))) struct ReplicaPlaceTests {
  /// The first node led epoch 3 alone, while the second wrote epochs 2 and 4. The first was cut back to where both agree,
  /// and has the records of epoch 2 now.
  private struct Scene {
    let pair: ReplicaPair
    /// Where both logs agree.
    let common: Position
    /// Where the first one's was, before it was cut.
    let was: LogPlace
    let rest: [SealedRecord]
    let older: [SealedRecord]

    init(_ pair: ReplicaPair) async throws {
      self.pair = pair
      let account = pair.account
      try await pair.attach()
      for x in 0..<5 { try await pair.insert(pair.first, x) }
      try await pair.waitForRows(pair.second, 5)
      pair.wire.state.with { $0.isCut = true }
      common = try await Scene.end(pair.second, account)
      pair.first.stopLeading(account)
      try await pair.first.lead(account, epoch: 3)
      while try await Scene.end(pair.first, account).epoch < 3 { await Task.yield() }
      let end = try await Scene.end(pair.first, account)
      was = LogPlace(epoch: end.epoch, index: end.index)

      let back = ReplicaWire(account)
      back.state.with { $0.leader = pair.second }
      pair.second.setSink(back)
      for (epoch, x) in [(2, 5), (4, 6)] as [(Epoch, Int)] {
        try await pair.second.lead(account, epoch: epoch)
        try await pair.insert(pair.second, x)
        pair.second.stopLeading(account)
      }
      rest = try #require(try await pair.second.records(account, from: common.index + 1, bytesMax: 1 << 30))
      older = rest.filter { $0.header.epoch == 2 }

      pair.first.stopLeading(account)
      pair.first.setSink(ReplicaEcho(back))
      try await pair.first.cut(account, after: common)
      pair.first.store(account, older)
      while try await Scene.end(pair.first, account) != older.last!.position { await Task.yield() }
    }

    static func end(_ engine: Engine, _ account: AccountID) async throws -> Position {
      let standing = try await engine.standing(account)
      return standing.tail.last?.position ?? standing.committed
    }

    func reopened() throws -> Engine {
      try Engine.open(ReplicaPair.configuration(pair.directories[0].path), disk: RealDisk(), kek: TestKey())
    }
  }

  @Test("a node that stops while it catches up behind a cut still knows how far its log was")
  func keepsItsPlace() async throws {
    let scene = try await Scene(ReplicaPair(id(1)))
    let account = scene.pair.account
    #expect(scene.was > LogPlace(epoch: 2, index: scene.older.last!.header.index))
    #expect(try await scene.pair.first.standing(account).reached == scene.was)
    scene.pair.close()

    let again = try scene.reopened()
    #expect(try await Scene.end(again, account) == scene.older.last!.position)
    #expect(try await again.standing(account).reached == scene.was)
    again.store(account, Array(scene.rest.dropFirst(scene.older.count)))
    again.publish(account, upTo: scene.rest.last!.position)
    while try await Scene.end(again, account) != scene.rest.last!.position { await Task.yield() }
    again.close()

    let last = try scene.reopened()
    #expect(try await Scene.end(last, account) == scene.rest.last!.position)
    last.publish(account, upTo: scene.rest.last!.position)
    #expect(try await scene.pair.rows(last) == Array(0..<7))
    last.close()
  }

  @Test("a node whose log lost what it had at the cut claims nothing more than it has")
  func noticesLoss() async throws {
    let scene = try await Scene(ReplicaPair(id(1)))
    let account = scene.pair.account
    scene.pair.close()
    // Once more, so that all records are in the segments.
    let again = try scene.reopened()
    #expect(try await again.standing(account).reached == scene.was)
    again.close()

    let path = scene.pair.directories[0].path
    let disk = RealDisk()
    for name in try disk.list("\(path)/log") { try disk.remove("\(path)/log/\(name)") }
    let segments = "\(path)/accounts/\(account)/segments"
    let segment = try #require(try disk.list(segments).max())
    let bytes = try disk.readAll("\(segments)/\(segment)", limit: 1 << 30)
    var end = SegmentHeader.byteCount
    while true {
      let record = try Engine.parse(bytes[end...])
      if record.header.index == scene.common.index { break }
      end += record.frame.count
    }
    let file = try disk.open("\(segments)/\(segment)", .readWrite)
    try file.truncate(to: UInt64(end))
    try file.sync()

    let lost = try scene.reopened()
    let standing = try await lost.standing(account)
    #expect((standing.tail.last?.position ?? standing.committed).index == scene.common.index - 1)
    #expect(standing.reached == .start)
    lost.close()
  }
}
