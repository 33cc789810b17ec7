// What earlier proofs say about the chunks of a plan, and whether it still holds.
//
// A chunk that a proven snapshot names is opened, which authenticates every byte of it, and not decoded; its mark is kept.
// When all were read the marks of a snapshot's chunks are summed: if that is the proof's digest, the packs hold the bytes
// that were decoded and compared then. If not, nothing that the proof says counts, and all its chunks are decoded.
//
// One chunk of 64, others in each run, is decoded all the same: a decoder or a machine that does not do now what it did
// then would not show otherwise. If one of them fails no proof counts.

import Base
import Formats
import Threads

final class VerifyTrust: Sendable {
  struct Proof: Sendable {
    var frames: ProvenFrames
    var provenAt: UnixMicroseconds
  }

  private struct State {
    /// By the first half of the group's name.
    var groups: [UInt128: FrameMark] = [:]
    /// By the recording's number in the plan.
    var recordings: [Int32: FrameDigest] = [:]
  }

  static let sampleParts = 64

  /// Of each manifest of the plan; nil where there is none that can be believed.
  let proofs: [Proof?]
  private let start: Int
  private let state = Lock(State())

  /// `random` says which chunks are decoded all the same.
  init(_ proofs: [Proof?], random: UInt64) {
    self.proofs = proofs
    start = Int(random % UInt64(Self.sampleParts))
  }

  /// Nothing is believed: everything is decoded.
  static func none(_ manifests: Int) -> VerifyTrust { VerifyTrust(Array(repeating: nil, count: manifests), random: 0) }

  /// The numbers of manifests, those with a proof first.
  var order: [Int] { proofs.indices.filter { proofs[$0] != nil } + proofs.indices.filter { proofs[$0] == nil } }
  var isEmpty: Bool { proofs.allSatisfy { $0 == nil } }

  /// Some snapshot with a proof names the chunk.
  func covers(_ unit: VerifyPlan.Unit, in plan: VerifyPlan) -> Bool { proofs[plan.manifest(of: unit)] != nil }

  /// It is decoded although a proof covers it. Recordings are chosen whole: what they make has a root.
  func samples(_ unit: VerifyPlan.Unit, in plan: VerifyPlan) -> Bool {
    let (number, count) =
      unit.owner < 0
      ? (Int(unit.number), plan.manifests[plan.manifest(of: unit)].body.groups.count)
      : (Int(unit.owner), plan.recordings.count)
    let parts = min(Self.sampleParts, count)
    return number % parts == start % parts
  }

  func note(_ marks: [(unit: VerifyPlan.Unit, name: ChunkName, mark: FrameMark)]) {
    state.with { s in
      for one in marks {
        if one.unit.owner < 0 {
          s.groups[one.name.high] = one.mark
        } else {
          s.recordings[one.unit.owner, default: FrameDigest()].add(one.mark)
        }
      }
    }
  }

  /// The manifests, by number, whose frames are those of their proof.
  func holding(in plan: VerifyPlan) -> Set<Int> {
    var numbers: [RecordingID: Int32] = [:]
    for (i, recording) in plan.recordings.enumerated() { numbers[recording.id] = Int32(i) }
    let state = state.with { $0 }
    return Set(
      plan.manifests.indices.filter { i in
        guard let proof = proofs[i] else { return false }
        let body = plan.manifests[i].body
        var digest = FrameDigest()
        for name in Set(body.groups) {
          guard let mark = state.groups[name.high] else { return false }
          digest.add(mark)
        }
        for recording in body.recordings {
          if let number = numbers[recording.id], let part = state.recordings[number] { digest.add(part) }
        }
        return digest.matches(proof.frames)
      })
  }
}
