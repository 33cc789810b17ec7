// Runs the machine on a port: events in, effects out, in order, at once. Node and simulation use this same one.
//
// Messages come as events, since whoever received them has read them already: to find their shard, to hold frames against
// their checksums, and to read which recordings they name. It keeps the last steps as a flight recorder.

package import Base
import Formats

package struct ReplicationDriver: Sendable {
  package private(set) var machine: ReplicaMachine
  private var steps = FlightRecorder<ReplicationStep>(keeping: 64)

  package init(_ machine: ReplicaMachine) { self.machine = machine }

  /// The last 64 events and effects, oldest first.
  package var recorder: [ReplicationStep] { steps.steps }

  package mutating func step(_ event: ReplicationEvent, at now: Instant, on port: inout some ReplicationPort) {
    steps.record(ReplicationStep(event, at: now))
    for effect in machine.handle(event, at: now) {
      steps.record(ReplicationStep(effect, at: now))
      switch effect {
      case .send(.append(var append), let node):
        if append.echo > 0, !port.mayVouch(machine.account, append.epoch) { append.echo = 0 }
        port.send(ReplicationMessage.append(append).encode(), to: node)
      case .send(let message, let node): port.send(message.encode(), to: node)
      case .setTimer(let instant): port.setTimer(instant, machine.account)
      case .store, .cut, .demand, .read, .publish, .rebase, .needBase, .fenced, .synced, .committed, .epochFinished,
        .acknowledged, .localWriteFailed, .damaged:
        port.perform(effect, machine.account)
      }
    }
  }
}
