// One hash for a whole recording: SHA-256 over the keyed hashes of its original chunks in order.
//
// It does not depend on how a replica codes or seals the recording.

import OpenSSL

package enum RecordingRoot {
  package static func hash(_ names: [[UInt8]]) -> [UInt8] {
    SHA256.hash(parts: [Array("komora recording root v1".utf8)] + names)
  }
}
