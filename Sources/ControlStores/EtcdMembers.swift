// The members of an etcd cluster over its JSON gateway: who they are, how they are, and changing them one at a time.
//
// etcd answers a list of members from the asked member's own memory, which may be old; so the leader is asked. Every
// change is repeatable: adding what is there, promoting what votes, and removing what is gone succeed.

package final class EtcdMembers: Sendable {
  private let gateway: EtcdGateway

  /// Nothing is sent yet.
  package init(
    _ configuration: EtcdConfiguration, over transport: (any EtcdTransport)? = nil
  ) throws(ControlStoreError) { gateway = try EtcdGateway(configuration, transport) }

  package func close() async { await gateway.close() }

  /// Requests that begin later go to these.
  package func use(endpoints: [String]) throws(ControlStoreError) { try gateway.use(endpoints) }

  /// What the member behind `endpoint` says of itself.
  package func status(of endpoint: String) async throws(ControlStoreError) -> EtcdMemberStatus {
    let answer: EtcdMessage.StatusResponse = try await gateway.call(
      "/v3/maintenance/status", EtcdMessage.Empty(), changes: false, at: endpoint)
    return EtcdMemberStatus(answer)
  }

  /// As the leader knows them, in order of their ids.
  package func list() async throws(ControlStoreError) -> [EtcdMember] {
    var last = ControlStoreError(.unavailable, "no endpoint of etcd answers")
    for endpoint in gateway.endpoints {
      do throws(ControlStoreError) {
        let status = try await status(of: endpoint)
        guard let leader = status.leader else {
          last = ControlStoreError(.unavailable, "etcd has no leader")
          continue
        }
        let known = try await list(at: endpoint)
        if status.isLeader { return known }
        for url in known.first(where: { $0.id == leader })?.clientURLs ?? [] {
          if let list = try? await list(at: url) { return list }
        }
        last = ControlStoreError(.unavailable, "etcd's leader does not answer")
      } catch { last = error }
    }
    throw last
  }

  private func list(at endpoint: String) async throws(ControlStoreError) -> [EtcdMember] {
    let answer: EtcdMessage.MembersResponse = try await gateway.call(
      "/v3/cluster/member/list", EtcdMessage.Empty(), changes: false, at: endpoint)
    return (answer.members ?? []).map(EtcdMember.init).sorted { $0.id < $1.id }
  }

  /// The members with what each says of itself; all are asked at once.
  package func survey() async throws(ControlStoreError) -> [EtcdMemberView] {
    let members = try await list()
    return await withTaskGroup(of: EtcdMemberView.self) { group in
      for member in members {
        group.addTask {
          for url in member.clientURLs {
            if let status = try? await self.status(of: url) { return EtcdMemberView(member, status) }
          }
          return EtcdMemberView(member, nil)
        }
      }
      return await group.reduce(into: []) { $0.append($1) }.sorted { $0.member.id < $1.member.id }
    }
  }

  /// Adds a learner, which has to be started with the members given back as its initial cluster.
  package func add(peerURL: String) async throws(ControlStoreError) -> (member: EtcdMember, all: [EtcdMember]) {
    let request = EtcdMessage.MemberAddRequest(peerURLs: [peerURL], isLearner: true)
    do throws(ControlStoreError) {
      let answer: EtcdMessage.MemberAddResponse = try await gateway.call(
        "/v3/cluster/member/add", request, changes: true)
      return (EtcdMember(answer.member), (answer.members ?? []).map(EtcdMember.init))
    } catch {
      guard error.message.contains("already exist") || error.code == .unknown else { throw error }
      let all = try await list()
      guard let member = all.first(where: { $0.peerURLs == [peerURL] && $0.isLearner && !$0.isStarted }) else {
        throw error
      }
      return (member, all)
    }
  }

  /// `.busy` while the learner has not caught up.
  package func promote(_ id: UInt64) async throws(ControlStoreError) {
    do throws(ControlStoreError) {
      let _: EtcdMessage.MembersResponse = try await gateway.call(
        "/v3/cluster/member/promote", EtcdMessage.MemberRequest(id: .init(id)), changes: true)
    } catch {
      guard error.code == .unknown || error.message.contains("not a learner") else { throw error }
      guard try await list().contains(where: { $0.id == id && !$0.isLearner }) else { throw error }
    }
  }

  package func remove(_ id: UInt64) async throws(ControlStoreError) {
    do throws(ControlStoreError) {
      let _: EtcdMessage.MembersResponse = try await gateway.call(
        "/v3/cluster/member/remove", EtcdMessage.MemberRequest(id: .init(id)), changes: true)
    } catch {
      guard error.code == .unknown || error.message.contains("member not found") else { throw error }
      guard try await !list().contains(where: { $0.id == id }) else { throw error }
    }
  }
}
