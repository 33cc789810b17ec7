// Collects what a step wants done; the world does it when the step is over.

import Base
import Formats
import Membership

struct OutputPort: SwimPort {
  enum Output {
    case send([UInt8], GossipAddress)
    case pushPull(NodeID?, GossipAddress)
    case persist(Incarnation)
    case timer(Instant)
    case news(MembershipNews)
    case leaveFinished
  }

  var outputs: [Output] = []

  mutating func send(_ plaintext: [UInt8], to node: NodeID, at address: GossipAddress) {
    outputs.append(.send(plaintext, address))
  }
  mutating func pushPull(with node: NodeID?, at address: GossipAddress) { outputs.append(.pushPull(node, address)) }
  mutating func persist(_ incarnation: Incarnation) { outputs.append(.persist(incarnation)) }
  mutating func setTimer(_ instant: Instant) { outputs.append(.timer(instant)) }
  mutating func publish(_ news: MembershipNews) { outputs.append(.news(news)) }
  mutating func leaveFinished() { outputs.append(.leaveFinished) }
}
