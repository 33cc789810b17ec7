// How an upload in parts is called: 128 random bits, as digits. It opens nothing by itself: every request about it is
// signed, and its key and account must be those that it was begun with.

import Base
import OpenSSL
package import SigV4

package struct UploadID: Equatable, Sendable {
  package let bytes: [UInt8]

  package init() { bytes = SystemRandom.bytes(16) }

  package init(bytes: [UInt8]) { self.bytes = bytes }

  /// The one that the request names.
  package init(_ target: RequestTarget) throws(S3Error) {
    guard let text = target.value("uploadId"), let bytes = [UInt8](hex: text), bytes.count == 16 else {
      throw .noSuchUpload
    }
    self.bytes = bytes
  }

  package var text: String { bytes.hex }
}
