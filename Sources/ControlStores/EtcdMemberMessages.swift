// The messages of etcd's cluster and maintenance API that are used, as `EtcdMessage` has those of its keys.

extension EtcdMessage {
  struct Member: Decodable, Sendable {
    var id: Identifier
    /// Left out until it first started.
    var name: String?
    var peerURLs: [String]?
    var clientURLs: [String]?
    var isLearner: Bool?
    enum CodingKeys: String, CodingKey {
      case name, peerURLs, clientURLs, isLearner
      case id = "ID"
    }
  }

  struct MembersResponse: Decodable, Sendable { var members: [Member]? }

  struct MemberAddRequest: Encodable {
    var peerURLs: [String]
    var isLearner: Bool
  }
  struct MemberAddResponse: Decodable, Sendable {
    var member: Member
    var members: [Member]?
  }
  struct MemberRequest: Encodable {
    var id: Identifier
    enum CodingKeys: String, CodingKey { case id = "ID" }
  }

  struct StatusResponse: Decodable, Sendable {
    struct Header: Decodable, Sendable {
      var memberID: Identifier
      enum CodingKeys: String, CodingKey { case memberID = "member_id" }
    }
    var header: Header
    var version: String?
    var leader: Identifier?
    var dbSize: Number?
    var raftIndex: Number?
    var raftTerm: Number?
    var raftAppliedIndex: Number?
    var isLearner: Bool?
    var errors: [String]?
  }
}
