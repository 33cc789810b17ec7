// The versions of one database's pages.
//
// A version is a page's image as of a log index. Readers pin the last published index and take the newest version that
// is not after it, else the main file; so they wait for nobody. The writer sees the head, where its pending records
// are. A version is immutable; only the chains change, under one lock that is never held across the disk.

import Base
import Disk
import SQLite
import Threads

/// A page's image from `index` on, until a newer version.
final class PageVersion: Sendable {
  let index: LogIndex
  let image: [UInt8]
  /// Which mark was the last when it was made: a difference may only name a base that is younger than the mark.
  let markSerial: UInt64

  init(index: LogIndex, image: [UInt8], markSerial: UInt64) {
    self.index = index
    self.image = image
    self.markSerial = markSerial
  }
}

final class PageStore: PageHost {
  struct Size {
    var index: LogIndex
    var pages: UInt32
  }

  struct State {
    /// Oldest first.
    var chains: [PageNumber: [PageVersion]] = [:]
    var versionCount = 0
    var sizes: [Size]
    /// Where the writer is.
    var head: Position
    /// Where new readers are.
    var published: Position
    /// Versions up to here are in the main file.
    var flushed: LogIndex
    /// Drops so far; what saw an earlier count is stale.
    var drops: UInt64 = 0
    /// Where another state last took the database's place: connections from before may know another schema.
    var replacedAt: LogIndex = 0
    var markSerial: UInt64 = 1
    var sessions: [ObjectIdentifier: LogIndex?] = [:]
    var writer: ObjectIdentifier?
    /// Set while the shard is closing or has failed.
    var closed = false
    /// Installs that a planted bug holds back.
    var withheld: [(images: [(PageNumber, [UInt8])], index: LogIndex, pages: UInt32)] = []

    func pages(at index: LogIndex) -> UInt32 { sizes.last { $0.index <= index }?.pages ?? sizes[0].pages }
    var minPin: LogIndex { sessions.values.reduce(published.index) { min($0, $1 ?? $0) } }

    func version(of page: PageNumber, at index: LogIndex) -> PageVersion? { chains[page]?.last { $0.index <= index } }

    mutating func prune(_ page: PageNumber, below pin: LogIndex) {
      versionCount -= Self.prune(&chains[page, default: []], below: pin)
    }

    private static func add(_ version: PageVersion, to chain: inout [PageVersion], pruneBelow pin: LogIndex) -> Int {
      chain.append(version)
      return prune(&chain, below: pin)
    }

    /// Gives how many went.
    private static func prune(_ chain: inout [PageVersion], below pin: LogIndex) -> Int {
      guard chain.count > 1, let keep = chain.lastIndex(where: { $0.index <= pin }), keep > 0 else { return 0 }
      chain.removeFirst(keep)
      return keep
    }

    mutating func install(_ images: [(PageNumber, [UInt8])], at index: LogIndex, pages: UInt32) {
      let pin = minPin
      for (page, image) in images {
        let version = PageVersion(index: index, image: image, markSerial: markSerial)
        versionCount += 1 - Self.add(version, to: &chains[page, default: []], pruneBelow: pin)
      }
      if sizes.last!.pages != pages { sizes.append(Size(index: index, pages: pages)) }
      if sizes.count > 64, let keep = sizes.lastIndex(where: { $0.index <= pin }), keep > 0 { sizes.removeFirst(keep) }
    }
  }

  let state: Lock<State>
  let main: MainFile
  let temporary: TemporaryQuota
  let transactionPagesMax: Int
  let bugs: PlantedBugs
  private struct Gate {
    /// Weak, since it is the shard, which holds us: an engine that nobody closed goes all the same.
    weak var shard: (any CommitGate)?
  }
  /// Makes records of a transaction's changes; set once before the first session opens.
  private let gate = Lock(Gate())

  init(
    main: MainFile, base: Position, pages: UInt32, temporary: TemporaryQuota, configuration: EngineConfiguration
  ) {
    self.main = main
    self.temporary = temporary
    transactionPagesMax = configuration.transactionPagesMax
    bugs = configuration.plantedBugs
    state = Lock(State(sizes: [Size(index: 0, pages: pages)], head: base, published: base, flushed: base.index))
  }

  func setGate(_ gate: any CommitGate) { self.gate.with { $0.shard = gate } }
  var commitGate: (any CommitGate)? { gate.with { $0.shard } }

  func openSession(readOnly: Bool) -> (any PageSession)? {
    if state.with({ $0.closed }) { return nil }
    return StoreSession(self, readOnly: readOnly)
  }

  func openTemporary() -> (any TemporaryStorage)? { SealedTemporary(quota: temporary) }

  /// The whole page `number` as of `index`, its reserved bytes zeroed; nil when it cannot be trusted.
  func page(_ number: PageNumber, at index: LogIndex) -> PageImage {
    for _ in 0..<3 {
      if let version = state.with({ $0.version(of: number, at: index) }) { return .image(version.image) }
      let read = main.read(number)
      // A checkpoint that overwrote the page meanwhile has put what we need into the chain first. One of the account's
      // next opening does not, so a closed store believes nothing that it has just read.
      let (version, isClosed) = state.with { ($0.version(of: number, at: index), $0.closed) }
      if let version { return .image(version.image) }
      if isClosed { return .failed }
      if case .damaged = read { continue }
      return read
    }
    return .damaged
  }

  /// Adds a committed transaction as pending versions. False when the head is no longer `head`: a drop came between.
  func install(_ images: [(PageNumber, [UInt8])], after head: Position, at position: Position, pages: UInt32) -> Bool {
    state.with { s in
      guard s.head == head || bugs.contains(.indexUsedTwice) else { return false }
      if bugs.contains(.publishBeforeInstall) {
        s.withheld.append((images, position.index, pages))
      } else {
        s.install(images, at: position.index, pages: pages)
      }
      s.head = position
      return true
    }
  }

  /// Adds versions of a record that is known to be committed: redo.
  func redo(_ images: [(PageNumber, [UInt8])], at position: Position, pages: UInt32) {
    state.with { s in
      s.install(images, at: position.index, pages: pages)
      s.head = position
      s.published = position
    }
  }

  /// Moves the head over a record without pages; a mark also ends the life of bases for differences.
  func advance(to position: Position, mark: Bool, publish: Bool = false) {
    state.with { s in
      s.head = position
      if mark, !bugs.contains(.differenceAfterMark) { s.markSerial += 1 }
      if publish { s.published = position }
    }
  }

  /// Makes everything up to `position` visible.
  func publish(_ position: Position) {
    state.with { s in
      if position.index > s.published.index, position.index <= s.head.index { s.published = position }
    }
  }

  var head: Position { state.with { $0.head } }
  var published: Position { state.with { $0.published } }
  /// Nothing is on its way into the log, marks and epochs included.
  var isSettled: Bool { state.with { $0.head == $0.published } }
  var drops: UInt64 { state.with { $0.drops } }
  var publishedAndDrops: (Position, UInt64) { state.with { ($0.published, $0.drops) } }

  /// What the planted bug "publish before install" held back.
  func installWithheld() {
    state.with { s in
      for held in s.withheld { s.install(held.images, at: held.index, pages: held.pages) }
      s.withheld = []
    }
  }

  /// Forgets every version after the published position, or after `place` when that is later.
  func drop(after place: Position? = nil) {
    state.with { s in
      var last = s.published
      if let place, place.index > last.index { last = place.index < s.head.index ? place : s.head }
      for page in Array(s.chains.keys) {
        while let version = s.chains[page]?.last, version.index > last.index {
          s.chains[page]!.removeLast()
          s.versionCount -= 1
        }
        if s.chains[page]!.isEmpty { s.chains[page] = nil }
      }
      s.withheld = []
      while s.sizes.count > 1, s.sizes.last!.index > last.index { s.sizes.removeLast() }
      s.head = last
      s.writer = nil
      s.drops += 1
      s.markSerial += 1
    }
  }

  func close() { state.with { $0.closed = true } }
}

/// What makes records at COMMIT.
protocol CommitGate: AnyObject, Sendable {
  /// Turns the changed pages into pending records after `head` and installs them; gives the new head's index.
  /// `recordings` are those that the transaction makes exist.
  func commit(
    _ changes: [ChangedPage], databasePages: UInt32, head: Position, naming recordings: [RecordingID]
  ) throws(StoreError)
}

/// A page that a transaction changed.
struct ChangedPage {
  var number: PageNumber
  var image: [UInt8]
  /// The version it replaces, if a difference to it may be stored.
  var base: PageVersion?
}

enum PageImage {
  case image([UInt8])
  case beyondEnd
  case damaged
  case failed
}
