// Runs the machine on a port: bytes in, effects out, in order, at once. Node and simulation use this same one.
//
// It keeps the last steps as a flight recorder, and counts bytes that were no gossip by what was wrong with them.

package import Base
package import Formats

package struct SwimDriver: Sendable {
  package struct Step: Sendable, CustomStringConvertible {
    package let at: Instant
    package let event: SwimEvent
    package let effects: [SwimEffect]
    package var description: String {
      "\(at) \(event)" + effects.map { "\n    \($0)" }.joined()
    }
  }

  package private(set) var machine: SwimMachine
  package private(set) var refusedBytes: [FormatError.Code: Int] = [:]
  private var steps = FlightRecorder<Step>(keeping: 64)

  package init(_ machine: SwimMachine) { self.machine = machine }

  /// The last 64 steps, oldest first.
  package var recorder: [Step] { steps.steps }

  package mutating func step(_ event: SwimEvent, at now: Instant, on port: inout some SwimPort) {
    let effects = machine.handle(event, at: now)
    steps.record(Step(at: now, event: event, effects: effects))
    for effect in effects {
      switch effect {
      case .persist(let incarnation): port.persist(incarnation)
      case .send(let datagram, let node, let address): port.send(datagram.encode(), to: node, at: address)
      case .pushPull(let node, let address): port.pushPull(with: node, at: address)
      case .notify(let news): port.publish(news)
      case .leaveFinished: port.leaveFinished()
      case .setTimer(let instant): port.setTimer(instant)
      }
    }
  }

  /// A datagram whose seal named `sender`.
  package mutating func receive(
    _ plaintext: [UInt8], from sender: NodeID, at address: GossipAddress, now: Instant, on port: inout some SwimPort
  ) {
    do throws(FormatError) {
      let datagram = try GossipDatagram(plaintext)
      step(.datagram(datagram, from: sender, at: address), at: now, on: &port)
    } catch { refusedBytes[error.code, default: 0] += 1 }
  }

  /// The other half of a push-pull, from a stream whose certificate named `sender`.
  package mutating func receive(
    state bytes: [UInt8], from sender: NodeID, now: Instant, on port: inout some SwimPort
  ) {
    do throws(FormatError) {
      let state = try GossipState(bytes)
      step(.state(state, from: sender), at: now, on: &port)
    } catch { refusedBytes[error.code, default: 0] += 1 }
  }

  /// This half of a push-pull; nil while the member may not speak.
  package func fullState(at now: Instant) -> [UInt8]? { machine.fullState(at: now)?.encode() }
}
