// Where an offline restore reads: a directory here, or an archive in S3-compatible storage as if it were one.

import ArgumentParser
import Base
import Disk
import OffSite
import OpenSSL
import Threads

struct RemoteArchiveOptions: ParsableArguments {
  @Option(help: "Its access key.")
  var s3AccessKey: String?

  @Option(help: "A file with its secret key, or - for standard input.")
  var s3SecretFile: String?

  @Option(help: "Certificate of its CA, PEM; default: the system's authorities.")
  var s3CA: String?

  @Option(help: "Region of its signatures.")
  var s3Region = "us-east-1"

  /// `place` is a directory, or an address of storage; there the archive of `account` is looked for, under nodes' names too.
  func source(_ place: String, of account: AccountID) async throws(CommandFailure) -> ArchiveSource {
    let pool = WorkPool(name: "archive", threads: 1)
    guard place.hasPrefix("https://") else {
      return ArchiveSource(disk: RealDisk(), path: PrivateFile.absolute(place), pool: pool, store: nil)
    }
    guard let s3AccessKey, let s3SecretFile else {
      throw CommandFailure(.usage, "an archive in storage wants --s3-access-key and --s3-secret-file")
    }
    let secret = SecretBytes(Array(try PrivateFile.readLine(s3SecretFile).utf8))
    do throws(OffSiteError) {
      let target = try OffSiteTarget(place, region: s3Region)
      // Whoever types an address means it.
      let policy = EndpointPolicy(allowedHosts: [target.host], allowsPrivate: true)
      let store = try await S3ObjectStore.open(
        target, S3Credentials(accessKey: s3AccessKey, secret: secret), policy: policy, ca: s3CA, pool: pool)
      let root = "\(target)"
      let remote = try await ObjectDisk(store, prefix: target.key(""), root: root)
      let path = try Self.newest(of: account, remote, root)
      return ArchiveSource(disk: MountedDisk(RealDisk(), at: root, remote), path: path, pool: pool, store: store)
    } catch {
      let kind: CommandFailure.Kind =
        switch error.code {
        case .invalid: .usage
        case .notFound: .notFound
        case .denied, .forbidden: .refused
        case .unavailable: .unavailable
        case .damaged, .local: .failed
        }
      throw CommandFailure(kind, error.message)
    }
  }

  /// The directory above the account's: the one given, or that of the node whose copy is the newest.
  private static func newest(of account: AccountID, _ disk: ObjectDisk, _ root: String) throws(OffSiteError) -> String {
    do {
      var found: (manifest: String, path: String)?
      for path in [root] + (try disk.list(root)).map({ "\(root)/\($0)" }) {
        let manifests = "\(path)/\(account)/manifests"
        guard try disk.info(manifests) != nil,
          let last = try disk.list(manifests).last(where: { $0.hasSuffix(".kman") })
        else { continue }
        if found == nil || last > found!.manifest { found = (last, path) }
      }
      // The account's own directory was given, or there is nothing: the restore says so.
      return found?.path ?? root
    } catch { throw OffSiteError(.damaged, "the storage cannot be read: \(error)") }
  }
}

struct ArchiveSource: Sendable {
  let disk: any Disk
  let path: String
  let pool: WorkPool
  let store: S3ObjectStore?

  /// On a thread that may block.
  func reading<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws(CommandFailure) -> T {
    do { return try await pool.perform(body) } catch let error as CommandFailure { throw error } catch {
      throw CommandFailure(backup: error)
    }
  }

  func close() async {
    await store?.close()
    pool.stop()
  }
}
