// An engine on a table: the steps that tests of failing disks take, with their answers as values.

package import Base
package import Disk
import Formats
import SQLite
package import ShardStore
import Threads

package final class Bench: Sendable {
  private let driver: Driver
  private let disk: any Disk
  private let configuration: EngineConfiguration

  package init(_ directory: String, disk: any Disk) throws {
    var configuration = EngineConfiguration(directory: directory, node: NodeID(bits: 1))
    configuration.logFileBytes = 128 << 10
    configuration.segmentBytes = 64 << 10
    configuration.checkpointPause = .zero
    self.configuration = configuration
    self.disk = disk
    driver = try Driver(configuration, disk: disk, kek: TestKey(1)) { _ in }
  }

  package func create(_ account: Int) throws { try driver.create(account) }

  package func write(_ account: Int, tx: Int, bytes: Int = 300) -> Result<Position, StoreError> {
    let outcome = Lock<Result<Position, any Error>?>(nil)
    driver.engine.submit(
      Content.account(account), { try Content.write($0, account: account, tx: tx, parts: 1, bytes: bytes) }
    ) { result in outcome.with { $0 = result.map(\.position) } }
    driver.pump()
    switch outcome.with({ $0 }) {
    case .success(let position): return .success(position)
    case .failure(let error as StoreError): return .failure(error)
    case .failure(let error): return .failure(StoreError(.io, "\(error)"))
    case nil: return .failure(StoreError(.io, "no answer came"))
    }
  }

  package func record(_ account: Int, number: Int, bytes: Int) throws {
    try driver.record(account, number: number, bytes: bytes)
  }

  package func recording(_ account: Int, number: Int) throws -> [UInt8] {
    let id = Content.account(account)
    let row = try driver.engine.readNow(id) { try RecordingCatalog.get($0, key: Content.recordingKey(number)) }.0
    guard let row else { throw StoreError(.notFound, "no recording \(number)") }
    return try driver.engine.recordingNow(id, row.id).readNow(offset: 0, count: 1 << 20)
  }

  /// Transactions that are there whole and as they were written.
  package func transactions(_ account: Int) throws -> Set<Int> {
    let (found, _) = try driver.engine.readNow(Content.account(account)) { try Found($0) }
    if let problem = found.problems(owners: [account]).first { throw StoreError(.damaged, problem) }
    return Set(found.transactions.keys)
  }

  /// Checkpoints and splits everything; gives the accounts whose split failed.
  package func checkpointAndSplit() -> [Int] {
    for id in driver.engine.accounts() { driver.checkpoint(Content.number(of: id)) }
    return driver.engine.splitLog(all: true).map { Content.number(of: $0.0) }
  }

  package func directory(of account: Int) -> String { "/\(Content.account(account))/" }

  package func logFiles() throws -> Int { try disk.list(configuration.logDirectory).count }

  /// What a verification of everything on the disk finds.
  package func findings() throws -> [VerifyFinding] {
    driver.engine.close()
    var verifier = StoreVerifier(disk: disk, configuration: configuration, kek: TestKey(1))
    verifier.verifyEverything()
    return verifier.findings.filter { $0.severity == .damage }
  }

  package func close() { driver.engine.close() }

  /// As if the process had died: nothing is written any more.
  package func abandon() {}
}

extension Result<Position, StoreError> {
  /// Why it failed; nil when it did not.
  package var code: StoreError.Code? { if case .failure(let error) = self { error.code } else { nil } }
}

/// A directory of a test's own, removed at the end.
package final class TortureDirectory: Sendable {
  package let path: String

  package init() { path = Folder.make(below: Folder.fast) }
  deinit { Folder.remove(path) }
}
