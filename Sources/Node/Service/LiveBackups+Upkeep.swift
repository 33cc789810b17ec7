// Upkeep of a running node's archives.

import Backup
import Base

extension LiveBackups {
  func upkeep(_ account: AccountID, border: UnixMicroseconds, now: UnixMicroseconds) async throws -> UpkeepReport {
    try await logArchive(account).upkeep(UpkeepRequest(border: border, now: now, unlockedBy: unlock))
  }
}
