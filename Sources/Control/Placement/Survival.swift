// What a set of voters survives, computed from where they stand and never assumed: for the data and for writing.
//
// A voter set loses an acknowledged write only when a whole write set is lost; it goes on writing only while a write
// set remains. Since the rule counts voters and regions, so does this; a test compares it with the rule over every
// loss.

package import Formats

package struct Survival: Sendable, Equatable {
  /// The greatest loss after which every acknowledged write is on a voter that remains.
  package var data: SurvivalGoal
  /// The greatest loss after which writes go on.
  package var writes: SurvivalGoal

  package init(data: SurvivalGoal, writes: SurvivalGoal) {
    self.data = data
    self.writes = writes
  }

  package init(_ voters: VoterSet) {
    var names: [String] = []
    let regions = voters.voters.map { voter in
      if let known = names.firstIndex(of: voter.region) { return known }
      names.append(voter.region)
      return names.count - 1
    }
    self.init(goal: voters.goal, regions: regions)
  }

  /// By the voters' regions as numbers.
  init(goal: SurvivalGoal, regions: [Int]) {
    let majority = regions.count / 2 + 1
    let spans = goal == .region
    var distinct = 0
    var largest = 0
    var hasSingle = false
    for i in regions.indices where !regions[..<i].contains(regions[i]) {
      let count = regions.count { $0 == regions[i] }
      distinct += 1
      largest = max(largest, count)
      if count == 1 { hasSingle = true }
    }
    guard !regions.isEmpty, !spans || distinct >= 2 else {
      // Nothing can be written here at all.
      self.init(data: .none, writes: .none)
      return
    }
    let dataRegion = spans || largest < majority
    let dataNode = spans || majority > 1
    // What remains then spans two regions by itself: a majority in one would be more than the largest region has.
    let writesRegion = regions.count - largest >= majority
    let writesNode = regions.count - 1 >= majority && (!spans || distinct - (hasSingle ? 1 : 0) >= 2)
    self.init(
      data: dataRegion ? .region : dataNode ? .node : .none,
      writes: writesRegion && writesNode ? .region : writesNode ? .node : .none)
  }

  /// What acknowledged writes survive: the word that is shown for an account.
  package var survives: SurvivalGoal { data }

  package func holds(_ goal: SurvivalGoal) -> Bool {
    data.rawValue >= goal.rawValue && writes.rawValue >= goal.rawValue
  }

  /// May voters that survive `self` be replaced by ones that survive `other`? Never less than the goal, and not less
  /// than before where the goal is not reached.
  func mayBecome(_ other: Survival, goal: SurvivalGoal) -> Bool {
    other.data.rawValue >= min(data.rawValue, goal.rawValue)
      && other.writes.rawValue >= min(writes.rawValue, goal.rawValue)
  }

  /// Better for the data first, then for writing.
  func isBetter(than other: Survival) -> Bool {
    (data.rawValue, writes.rawValue) > (other.data.rawValue, other.writes.rawValue)
  }
}
