// What the user of an engine was told, line by line: the truth that a recovery is held against.

struct Ledger: Sendable {
  /// An answer about one transaction.
  struct Answers: Sendable {
    var acknowledged: [Int: Int] = [:]
    /// "Not applied": it must not be there.
    var denied: Set<Int> = []
  }

  var accounts: Set<Int> = []
  var creating: Set<Int> = []
  var removing: Set<Int> = []
  var removed: Set<Int> = []
  var answers: [Int: Answers] = [:]
  /// Bytes of each acknowledged recording, by account and number.
  var recordings: [Int: [Int: Int]] = [:]
  /// Bytes of each acknowledged part of the upload in parts, and those whose replacement was not answered.
  var parts: [Int: Int] = [:]
  var askedParts: Set<Int> = []
  /// Those that were asked to be deleted, answered or not.
  var deletedRecordings: [Int: Set<Int>] = [:]
  var rotating = false
  var rotated = false
  /// Acknowledged snapshots by account.
  var snapshots: [Int: [String]] = [:]
  /// Restores that were acknowledged: target, then source.
  var restored: [Int: Int] = [:]
  var restoring: [Int: Int] = [:]
  /// How often each code was the answer.
  var refusals: [String: Int] = [:]
  var places: [String: Int] = [:]
  var problems: [String] = []
  var fired = false
  var finished = false

  mutating func note(_ line: String) {
    let words = line.split(separator: " ").map(String.init)
    let numbers = words.dropFirst().map { Int($0) ?? -1 }
    switch words.first ?? "" {
    case "creating": creating.insert(numbers[0])
    case "account": accounts.insert(numbers[0])
    case "removing": removing.insert(numbers[0])
    case "removed": removed.insert(numbers[0])
    case "tx": answers[numbers[0], default: Answers()].acknowledged[numbers[1]] = numbers[2]
    case "denied": answers[numbers[0], default: Answers()].denied.insert(numbers[1])
    case "recording": recordings[numbers[0], default: [:]][numbers[1]] = numbers[2]
    case "parting": askedParts.insert(numbers[0])
    case "part":
      parts[numbers[0]] = numbers[1]
      askedParts.remove(numbers[0])
    case "unrecording": deletedRecordings[numbers[0], default: []].insert(numbers[1])
    case "rotating": rotating = true
    case "rotated": rotated = true
    case "snapshot": snapshots[numbers[0], default: []].append(words[2])
    case "restoring": restoring[numbers[0]] = numbers[1]
    case "restored": restored[numbers[0]] = numbers[1]
    case "refused": refusals[words[1], default: 0] += 1
    case "place": places[words.dropFirst(2).joined(separator: " "), default: 0] += Int(words[1]) ?? 0
    case "problem": problems.append(words.dropFirst().joined(separator: " "))
    case "fired": fired = true
    case "finished": finished = true
    default: problems.append("unknown line from the child: \(line)")
    }
  }

  /// Accounts that must be there.
  var mustExist: Set<Int> { accounts.union(restored.keys).subtracting(removing) }
  /// Accounts that may be there.
  var mayExist: Set<Int> {
    accounts.union(creating).union(restoring.keys).union(restored.keys).subtracting(removed)
  }

  var acknowledged: Int { answers.values.reduce(0) { $0 + $1.acknowledged.count } }
}
