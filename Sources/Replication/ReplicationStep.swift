// One line of a replica's flight recorder: what happened or was asked for, as numbers, so that no record's bytes are kept
// alive by the memory of it.

package import Base
import Formats

package struct ReplicationStep: Sendable, CustomStringConvertible {
  package let at: Instant
  package let isEffect: Bool
  private let name: StaticString
  private let epoch: Epoch
  private let first: LogIndex
  private let last: LogIndex
  private let node: NodeID?

  init(_ event: ReplicationEvent, at now: Instant) {
    let words = Self.words(event)
    self.init(now, isEffect: false, words.0, words.1, words.2, words.3, words.4)
  }

  init(_ effect: ReplicationEffect, at now: Instant) {
    let words = Self.words(effect)
    self.init(now, isEffect: true, words.0, words.1, words.2, words.3, words.4)
  }

  private init(
    _ at: Instant, isEffect: Bool, _ name: StaticString, _ epoch: Epoch, _ first: LogIndex, _ last: LogIndex,
    _ node: NodeID?
  ) {
    self.at = at
    self.isEffect = isEffect
    self.name = name
    self.epoch = epoch
    self.first = first
    self.last = last
    self.node = node
  }

  private typealias Words = (StaticString, Epoch, LogIndex, LogIndex, NodeID?)

  private static func words(_ name: StaticString, _ records: [SealedRecord], _ node: NodeID? = nil) -> Words {
    (name, records.last?.header.epoch ?? 0, records.first?.header.index ?? 0, records.last?.header.index ?? 0, node)
  }

  private static func words(_ name: StaticString, _ position: Position) -> Words {
    (name, position.epoch, position.index, position.index, nil)
  }

  private static func words(_ message: ReplicationMessage, _ node: NodeID) -> Words {
    switch message {
    case .append(let m): ("append", m.epoch, m.previous.index, m.records.last?.header.index ?? m.previous.index, node)
    case .ack(let m): ("ack", m.epoch, m.synced.index, m.end, node)
    case .refuse(let m): ("refuse", m.epoch, m.committed.index, m.end.index, node)
    case .base(let m): ("base", m.epoch, m.from, m.from, node)
    }
  }

  private static func words(_ event: ReplicationEvent) -> Words {
    switch event {
    case .configure(let record): ("configure", record.epoch, 0, 0, record.primary)
    case .follow(let epoch): ("follow", epoch, 0, 0, nil)
    case .fence(let epoch): ("fence", epoch, 0, 0, nil)
    case .acknowledge(let epoch): ("acknowledge", epoch, 0, 0, nil)
    case .lead(let epoch): ("lead", epoch, 0, 0, nil)
    case .stop(let epoch): ("stop", epoch, 0, 0, nil)
    case .finish(let epoch, let successor): ("finish", epoch, 0, 0, successor)
    case .resume(let epoch): ("resume", epoch, 0, 0, nil)
    case .appended(let records): words("appended", records)
    case .synced(let position): words("synced", position)
    case .failed(let position): words("failed", position)
    case .cutDone(let position): words("cut done", position)
    case .available(let ids): ("available", 0, 0, UInt64(ids.count), nil)
    case .read(let node, let from, let records): ("read", 0, from, records?.last?.header.index ?? 0, node)
    case .rebased(let standing): words("rebased", standing.committed)
    case .refresh: ("refresh", 0, 0, 0, nil)
    case .message(let message, let sender, _): words(message, sender)
    case .peerUp(let node): ("up", 0, 0, 0, node)
    case .peerDown(let node): ("down", 0, 0, 0, node)
    case .tick: ("tick", 0, 0, 0, nil)
    }
  }

  private static func words(_ effect: ReplicationEffect) -> Words {
    switch effect {
    case .send(let message, let node): words(message, node)
    case .store(let records): words("store", records)
    case .cut(let position): words("cut", position)
    case .demand(let ids, let node): ("demand", 0, 0, UInt64(ids.count), node)
    case .read(let node, let from, _): ("read", 0, from, from, node)
    case .publish(let position): words("publish", position)
    case .rebase(let node): ("rebase", 0, 0, 0, node)
    case .needBase(let node): ("need base", 0, 0, 0, node)
    case .fenced(let epoch, let place): ("fenced", epoch, place.index, place.index, nil)
    case .synced(let place): ("synced", place.epoch, place.index, place.index, nil)
    case .committed(let epoch): ("committed", epoch, 0, 0, nil)
    case .epochFinished(let epoch): ("finished", epoch, 0, 0, nil)
    case .acknowledged(let places): ("acknowledged", 0, 0, UInt64(places.count), nil)
    case .localWriteFailed: ("local write failed", 0, 0, 0, nil)
    case .damaged: ("damaged", 0, 0, 0, nil)
    case .setTimer: ("timer", 0, 0, 0, nil)
    }
  }

  package var description: String {
    "\(at) \(isEffect ? "  " : "")\(name)" + (epoch > 0 ? " @\(epoch)" : "") + (last > 0 ? " \(first)-\(last)" : "")
      + (node.map { " \($0.shortName)" } ?? "")
  }
}
