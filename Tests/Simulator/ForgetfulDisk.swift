// A disk in memory that forgets, after a crash, whatever it may forget, as its seed says.
//
// `crash()` ends the machine: this disk and every file opened on it fail with `.io` from then on, whatever threads
// still use them, and another disk comes back with what survived. Asked again it gives another way in which the same
// moment could have gone. `kill()` ends only the processes: what they wrote is still in the cache, and still not durable.
// Equal calls from one thread give equal disks for equal seeds.

internal import Base
public import Disk
internal import Threads

public final class ForgetfulDisk: Disk {
  struct State {
    var names = NameSpace()
    var files: [Int: ForgetfulFileState] = [:]
    var nextNode = NameSpace.root + 1
    var generator: SeededGenerator
    var counts = FaultCounts()
    var operations = 0
    var isDead = false
    var capacityBytes: Int?
    var flipsPerCrash = 0
    var hook: (@Sendable (DiskOperation) -> DiskFault)?
    var rules: [FaultRule] = []
  }

  let state: Lock<State>

  public init(seed: UInt64, capacityBytes: Int? = nil) {
    var start = State(generator: SeededGenerator(seed: seed))
    start.capacityBytes = capacityBytes
    state = Lock(start)
  }

  private init(adopting survivor: State) { state = Lock(survivor) }

  // MARK: Faults

  /// What files may hold together, each rounded up to 4 KiB by its length; nil: anything.
  public var capacityBytes: Int? {
    get { state.with { $0.capacityBytes } }
    set { state.with { $0.capacityBytes = newValue } }
  }

  /// Bits that a crash flips in each file among the bytes not synced before it.
  public var flipsPerCrash: Int {
    get { state.with { $0.flipsPerCrash } }
    set { state.with { $0.flipsPerCrash = newValue } }
  }

  /// How often each fault took effect, on this disk and on those it came from.
  public var counts: FaultCounts { state.with { $0.counts } }

  /// Operations so far that changed something.
  public var operations: Int { state.with { $0.operations } }

  public var isDead: Bool { state.with { $0.isDead } }

  /// Asked before every operation, outside of any lock, so it may look at the disk; not handed on to the next disk.
  public func onOperation(_ hook: (@Sendable (DiskOperation) -> DiskFault)?) {
    state.with { $0.hook = hook }
  }

  /// Fails the `nth` operation of this kind from now on paths that `matches`, and the `times - 1` after it.
  public func fail(
    _ kind: DiskOperation.Kind, nth: Int = 1, times: Int = 1, _ code: DiskError.Code = .io,
    where matches: @escaping @Sendable (String) -> Bool = { _ in true }
  ) {
    state.with { $0.rules.append(FaultRule(kind: kind, skip: nth - 1, times: times, code: code, matches: matches)) }
  }

  /// Ends all failures that `fail` asked for.
  public func heal() { state.with { $0.rules.removeAll() } }

  /// Flips one bit of a file, in what is read and in what is durable.
  public func flip(_ path: String, _ offset: Int, bit: Int) throws(DiskError) {
    try state.with { (s) throws(DiskError) in
      guard let entry = s.names.parent(of: path), let node = s.names.node(at: entry), s.files[node] != nil else {
        throw DiskError(.notFound, "flip", path)
      }
      s.files[node]!.flip(bit: bit, at: offset)
      s.counts.flips += 1
    }
  }

  // MARK: Endings

  /// The power is gone.
  public func stop() { state.with { $0.isDead = true } }

  /// Ends the machine and gives the disk with which it comes up again.
  public func crash() -> ForgetfulDisk {
    ForgetfulDisk(
      adopting: state.with { s in
        s.isDead = true
        s.counts.crashes += 1
        var next = State(generator: SeededGenerator(seed: s.generator.next()))
        next.counts = s.counts
        next.nextNode = s.nextNode
        next.capacityBytes = s.capacityBytes
        next.flipsPerCrash = s.flipsPerCrash
        next.names = s.names.afterCrash(using: &next.generator, &next.counts)
        for node in next.names.named.sorted() {
          next.files[node] = s.files[node]?.afterCrash(
            flips: s.flipsPerCrash, using: &next.generator, &next.counts)
        }
        return next
      })
  }

  /// Ends the processes that use this disk and gives it to those that follow.
  public func kill() -> ForgetfulDisk {
    ForgetfulDisk(
      adopting: state.with { s in
        s.isDead = true
        var next = s
        next.isDead = false
        next.operations = 0
        next.hook = nil
        next.rules = []
        next.generator = SeededGenerator(seed: s.generator.next())
        for node in next.files.keys { next.files[node]!.handles = 0 }
        next.collect()
        return next
      })
  }
}

struct FaultRule: Sendable {
  var kind: DiskOperation.Kind
  var skip: Int
  var times: Int
  var code: DiskError.Code
  var matches: @Sendable (String) -> Bool
}
