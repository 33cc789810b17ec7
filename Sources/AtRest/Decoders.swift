// By what sealed bytes are decoded here. Others may decode the same bytes differently, so whoever relies on an earlier
// decoding compares these versions with those of then.

import Base
import CFLAC
import CZstd
package import Formats

package enum Decoders {
  /// To be raised with every change of a decoder of this module or of what comes behind one: audio chunks, planes, zstd's
  /// limits, the names of chunks.
  static let version: UInt32 = 1

  package static let current = DecoderVersions(
    own: version, zstd: UInt32(ZSTD_versionNumber()), flac: number(of: String(cString: komora_flac_version())))

  /// 1.4.2 is 10402; another text, of a build out of a repository, its checksum with the highest bit set.
  static func number(of text: String) -> UInt32 {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { UInt32($0) }
    guard parts.count == 3, let major = parts[0], let minor = parts[1], let patch = parts[2], major < 1000, minor < 100,
      patch < 100
    else { return CRC32C.checksum(Array(text.utf8)) | 1 << 31 }
    return major * 10_000 + minor * 100 + patch
  }
}
