// Why the store could not do what it was asked, in the words that a caller acts on.

package import Disk
package import Formats
import SQLite

package struct StoreError: Error, Sendable, CustomStringConvertible {
  package enum Code: Sendable, Equatable {
    case notFound, exists
    /// The writer is taken for longer than the caller waits.
    case busy
    /// The transaction read something that has changed since; it can be run again.
    case snapshotTooOld
    case quota, diskFull, io
    /// Bytes are not what was written.
    case damaged
    case wrongKey
    /// Rights, state or limits do not allow it.
    case refused
    /// The write is certainly not there.
    case notApplied
    /// The write may or may not be there.
    case unknown
    case tooLarge, closed
    /// This node does not lead the account, or no longer: nothing was applied here, another node may be asked.
    case moved
  }

  package var code: Code
  package var message: String

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  package init(_ error: DiskError) {
    switch error.code {
    case .full: self.init(.diskFull, "\(error); free some space and try again")
    case .notFound: self.init(.notFound, error.description)
    case .exists: self.init(.exists, error.description)
    default: self.init(.io, error.description)
    }
  }

  package init(_ error: FormatError, in path: String) {
    self.init(.damaged, "\(path) is damaged: \(error)")
  }

  package var description: String { message }
}

/// Gives the failures of the layers below as failures of the store.
func storing<R>(_ body: () throws -> R) throws(StoreError) -> R {
  do { return try body() } catch let error as StoreError { throw error } catch let error as DiskError {
    throw StoreError(error)
  } catch let error as FormatError {
    throw StoreError(error, in: "a file")
  } catch let error as SQLiteError {
    throw StoreError(error.code == .corrupt ? .damaged : .io, error.description)
  } catch {
    throw StoreError(.io, "\(error)")
  }
}
