import AtRest
import Backup
import Base
import OpenSSL
import ShardStore

extension AccountExports {
  /// What a reader gets of an export, all of it, in pieces that do not fit its chunks.
  func plain(_ info: ExportInfo, _ engine: Engine) throws -> [UInt8] {
    let file = try store.open(info, owner: engine.keyring(info.account).agreement.private)
    var bytes: [UInt8] = []
    while true {
      let piece = try file.read(100_001, at: UInt64(bytes.count))
      if piece.isEmpty { return bytes }
      bytes += piece
    }
  }
}
