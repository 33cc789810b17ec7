// Upkeep of a running node's archives.

import Backup
import Base

extension LiveBackups {
  func upkeep(_ account: AccountID, border: UnixMicroseconds, now: UnixMicroseconds) async throws -> UpkeepReport {
    var request = UpkeepRequest(border: border, now: now, unlockedBy: unlock)
    let recordings = recordings
    request.beforeRemoving = { recordings.letGo(of: account) }
    return try await logArchive(account).upkeep(request)
  }
}
