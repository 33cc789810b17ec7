// Nothing is called damaged on a disk whose bytes nobody flipped.

import SQLite
import ShardStore

enum DamageChecker {
  static func check(_ error: any Error, _ place: String) throws(Violation) {
    if let violation = error as? Violation { throw violation }
    var isDamage = false
    if let error = error as? StoreError { isDamage = error.code == .damaged || error.code == .wrongKey }
    if let error = error as? SQLiteError { isDamage = error.code == .corrupt || error.code == .notADatabase }
    if isDamage { throw Violation(checker: "damage", message: "\(place): \(error)") }
  }
}
