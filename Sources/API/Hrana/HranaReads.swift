// Whether a pipeline that was lost on its way may be sent again: it only reads, and continues no stream.
//
// Looked at only then, so it may read the whole document. What it cannot tell for certain is no read.

import Foundation
import NIOCore

enum HranaReads {
  static func areAll(in body: ByteBuffer) -> Bool {
    let bytes = Data(body.readableBytesView)
    if let pipeline = try? JSONDecoder().decode(PipelineBody.self, from: bytes) {
      return pipeline.baton == nil && pipeline.requests.allSatisfy(isRead)
    }
    guard let cursor = try? JSONDecoder().decode(CursorBody.self, from: bytes) else { return false }
    return cursor.baton == nil && areReads(cursor.batch)
  }

  private static func isRead(_ request: StreamRequest) -> Bool {
    switch request {
    case .close, .getAutocommit, .describe, .closeSQL: true
    case .execute(let statement): isRead(statement)
    case .batch(let batch): areReads(batch)
    case .sequence, .storeSQL: false
    }
  }

  private static func areReads(_ batch: HranaBatch) -> Bool { batch.steps.allSatisfy { isRead($0.stmt) } }

  private static func isRead(_ statement: HranaStatement) -> Bool {
    guard let sql = statement.source.sql else { return false }
    return ["SELECT", "VALUES", "EXPLAIN"].contains(SQLWords.first(1, of: sql).first)
  }
}
