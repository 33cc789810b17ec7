// Runs the machine on a port: bytes in, effects out, in order, at once. Node and simulation use this same one.
//
// It keeps the last steps as a flight recorder, and counts bytes that could not be read by what was wrong with them.

package import Base
package import Formats

package struct OwnershipDriver: Sendable {
  package struct Step: Sendable, CustomStringConvertible {
    package let at: Instant
    package let event: OwnershipEvent
    package let effects: [OwnershipEffect]
    package var description: String { "\(at) \(event)" + effects.map { "\n    \($0)" }.joined() }
  }

  package private(set) var machine: OwnershipMachine
  package private(set) var refusedBytes: [FormatError.Code: Int] = [:]
  private var steps = FlightRecorder<Step>(keeping: 64)

  package init(_ machine: OwnershipMachine) { self.machine = machine }

  /// The last 64 steps, oldest first.
  package var recorder: [Step] { steps.steps }

  package mutating func step(_ event: OwnershipEvent, at now: Instant, on port: inout some OwnershipPort) {
    let effects = machine.handle(event, at: now)
    steps.record(Step(at: now, event: event, effects: effects))
    for effect in effects {
      switch effect {
      case .send(let message, let node): port.send(message.encode(), to: node)
      case .request(let number, let request): ask(number, request, on: &port)
      case .persist(let promise): port.persist(promise)
      case .setTimer(let instant): port.setTimer(instant)
      case .fence, .configure, .follow, .acknowledge, .lead, .stop, .finishEpoch, .resumeEpoch, .serving, .damaged:
        port.perform(effect)
      }
    }
  }

  /// A message whose channel proved `sender`.
  package mutating func receive(
    _ bytes: [UInt8], from sender: NodeID, now: Instant, on port: inout some OwnershipPort
  ) {
    guard let message = read(bytes, OwnershipMessage.init) else { return }
    step(.message(message, from: sender), at: now, on: &port)
  }

  /// The answer to `list`: values with the revisions of their keys. What cannot be read is left out and counted.
  package mutating func listed(
    _ request: UInt64, _ values: [(value: [UInt8], revision: Int64)], revision: Int64, now: Instant,
    on port: inout some OwnershipPort
  ) {
    let entries = values.compactMap { entry($0.value, $0.revision) }
    step(.answer(request, .list(entries, revision: revision)), at: now, on: &port)
  }

  package mutating func got(
    _ request: UInt64, _ value: (value: [UInt8], revision: Int64)?, now: Instant, on port: inout some OwnershipPort
  ) {
    step(.answer(request, .entry(value.flatMap { entry($0.value, $0.revision) })), at: now, on: &port)
  }

  /// Changes that a watch brought, all up to `revision`; `value` is nil for a key that is gone.
  package mutating func changed(
    _ request: UInt64, _ changes: [(key: String, value: [UInt8]?, revision: Int64)], revision: Int64, now: Instant,
    on port: inout some OwnershipPort
  ) {
    var entries: [OwnershipEntry] = []
    var removed: [AccountID] = []
    for change in changes {
      if let value = change.value {
        if let entry = entry(value, change.revision) { entries.append(entry) }
      } else if let account = AccountID(String(change.key.dropFirst(OwnershipRecord.keyPrefix.count))) {
        removed.append(account)
      }
    }
    step(.answer(request, .changes(entries, removed: removed, revision: revision)), at: now, on: &port)
  }

  private func ask(_ number: UInt64, _ request: OwnershipRequest, on port: inout some OwnershipPort) {
    switch request {
    case .list: port.list(number, prefix: OwnershipRecord.keyPrefix)
    case .get(let account): port.get(number, key: OwnershipRecord.key(account))
    case .watch(let revision): port.watch(number, prefix: OwnershipRecord.keyPrefix, from: revision)
    case .transact(let entries):
      port.transact(
        number,
        entries.map { OwnershipPut(key: $0.record.key, value: $0.record.encode(), revision: $0.revision) })
    }
  }

  private mutating func entry(_ value: [UInt8], _ revision: Int64) -> OwnershipEntry? {
    read(value, OwnershipRecord.init).map { OwnershipEntry(record: $0, revision: revision) }
  }

  private mutating func read<T>(_ bytes: [UInt8], _ decode: ([UInt8]) throws(FormatError) -> T) -> T? {
    do throws(FormatError) { return try decode(bytes) } catch {
      refusedBytes[error.code, default: 0] += 1
      return nil
    }
  }
}
