// The checkpoint, in small steps: mark, wait until the mark is published, write pages in batches, sync, redo slot.
//
// Only published versions reach the main file, since redo cannot take them back. A step does a bounded amount of work and
// says whether there is more, so that a pause or another account can come between.

import Base
import Formats
import Threads

enum CheckpointPhase {
  case idle
  case waitingForMark
  case flushing(plan: CheckpointPlan)
  /// The main file is durable. From the first try on the redo slot may be on the disk, so no page is written again: a
  /// crash that tore one would not find its image in the records after the new mark.
  case recording(plan: CheckpointPlan)
}

struct CheckpointPlan {
  var mark: Position
  var upTo: Position
  var pages: UInt32
  var numbers: [PageNumber]
  var next = 0
}

extension Shard {
  /// True when enough has changed since the last checkpoint.
  var wantsCheckpoint: Bool {
    pages.versionCount >= configuration.checkpointVersions && pages.hasUnflushed && mayCheckpoint
  }

  /// A standby writes its pages only behind a mark of the primary's that it has not used yet.
  var mayCheckpoint: Bool {
    state.with { s in
      guard let replica = s.replica, case .standby = replica.role else { return true }
      return (replica.mark?.index ?? 0) > redo.slot.mark.index
    }
  }

  /// Begins a checkpoint if none runs.
  func startCheckpoint() {
    state.with { s in
      guard case .idle = s.checkpoint, s.failure == nil else { return }
      if let replica = s.replica, case .standby = replica.role {
        guard let mark = replica.mark, mark.index > redo.slot.mark.index else { return }
        s.checkpoint = .waitingForMark
        s.mark = mark
        return
      }
      s.checkpoint = .waitingForMark
      s.mark = nil
      s.markWanted = true
    }
    schedule()
  }

  /// One step. False when there is nothing to do now: no checkpoint runs, or it waits for its mark.
  func stepCheckpoint() throws(StoreError) -> Bool {
    let phase = state.with { $0.checkpoint }
    do {
      switch phase {
      case .idle: return false
      case .waitingForMark: return beginFlush()
      case .flushing(let plan): return try flush(plan)
      case .recording(let plan): return try record(plan)
      }
    } catch {
      state.with { s in
        // Without room it is tried again under the mark that it has: from the first page, or only the slot.
        switch s.checkpoint {
        case .flushing(var plan) where error.code == .diskFull:
          plan.next = 0
          s.checkpoint = .flushing(plan: plan)
        case .recording where error.code == .diskFull: break
        default: s.checkpoint = .idle
        }
      }
      throw error
    }
  }

  private func beginFlush() -> Bool {
    let mark = state.with { $0.mark }
    let isPublished = mark.map { pages.published.index >= $0.index } ?? false
    guard let mark, isPublished || configuration.plantedBugs.contains(.markNotAwaited) else { return false }
    // What the node's own log has not synced is not redone after a crash, also when other nodes have it.
    let durable = state.with { $0.replica?.durable }
    if let durable, durable.index < mark.index { return false }
    let (upTo, size, numbers) = pages.flushPlan(limit: durable)
    // Pages that never had an image are written as zeros, so that every page of the file authenticates.
    let missing = (redo.slot.databasePages..<max(size, redo.slot.databasePages)).map { $0 + 1 }
    let all = Set(numbers).union(missing).filter { $0 <= size }.sorted()
    let plan = CheckpointPlan(mark: mark, upTo: upTo, pages: size, numbers: all)
    state.with { $0.checkpoint = .flushing(plan: plan) }
    return true
  }

  private func flush(_ plan: CheckpointPlan) throws(StoreError) -> Bool {
    var plan = plan
    if plan.next < plan.numbers.count {
      let end = min(plan.next + configuration.checkpointBatchPages, plan.numbers.count)
      let batch = Array(plan.numbers[plan.next..<end])
      let images = try pages.flushImages(batch, upTo: plan.upTo)
      var writes = images.map { ($0.number, $0.image) }
      let have = Set(images.map(\.number))
      for number in batch where !have.contains(number) && number > redo.slot.databasePages {
        writes.append((number, [UInt8](repeating: 0, count: Limits.pageBytes)))
      }
      try pages.main.write(writes)
      plan.next = end
      let rest = plan
      state.with { $0.checkpoint = .flushing(plan: rest) }
      return true
    }
    try pages.main.sync()
    let synced = plan
    state.with { $0.checkpoint = .recording(plan: synced) }
    return true
  }

  private func record(_ plan: CheckpointPlan) throws(StoreError) -> Bool {
    // A tail behind the commit point may be cut again.
    let end = accountLog.segments.end
    let segmentsEnd = end.index <= plan.upTo.index ? end : plan.upTo
    let epoch = state.with { $0.greatestEpoch }
    try redo.write { slot in
      slot.mark = plan.mark
      slot.databasePages = plan.pages
      slot.segmentsEnd = segmentsEnd
      slot.epoch = epoch
      slot.committed = plan.upTo.index
      // What is published stays: so far the log is for good.
      if LogPlace(epoch: plan.mark.epoch, index: plan.mark.index) >= slot.reached {
        (slot.reached, slot.cut) = (.start, .start)
      }
    }
    pages.flushed(plan.upTo)
    state.with { $0.checkpoint = .idle }
    if pages.minPin >= plan.upTo.index { try pages.main.truncate(pages: max(plan.pages, pages.currentPages)) }
    return false
  }
}
