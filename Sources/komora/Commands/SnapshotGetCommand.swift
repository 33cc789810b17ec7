// `komora snapshot get --account A (--snapshot ID | --at T) KEY --out FILE`: one recording as it was then, range by range
// into a file that gets its name when its hash is right.

import ArgumentParser
import Base
import Disk
import Foundation
import NIOHTTP1
import OpenSSL

struct SnapshotGetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Write one recording of a snapshot, or as it was at a moment, to a file.")

  private static let rangeBytes = 8 << 20

  @OptionGroup var account: AccountOption

  @Option(help: "The snapshot's id.")
  var snapshot: String?

  @Option(help: "The account as it was at this moment, such as 2026-01-31T12:00:00Z.")
  var at: String?

  @Argument(help: "The recording's key.")
  var key: String

  @Option(help: "The file that is made; it must not exist.")
  var out: String

  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    guard (snapshot == nil) != (at == nil) else { throw ValidationError("Give --snapshot or --at.") }
  }

  func run() async throws {
    let moment = try at.map { RFC3339.text(try RestoreCommand.moment($0)) }
    let place = snapshot.map { "snapshots/\($0.pathSegment)" } ?? "moments/\((moment ?? "").pathSegment)"
    let path = "\(account.path)/\(place)/recordings/\(key.pathSegment)"
    let target = PrivateFile.absolute(out)
    let disk = RealDisk()
    guard try failing({ try disk.info(target) }) == nil else {
      throw CommandFailure(.refused, "there is something at \(target) already: name another file with --out")
    }
    let unfinished = target + ".part"
    let result = try await APIClient.with(connection) { client in
      try await fetch(client, path, to: unfinished, disk)
    }
    try failing {
      try disk.rename(unfinished, to: target)
      try disk.syncDirectory(parentDirectory(of: target) ?? ".")
    }
    let shown = JSONValue.object([
      "out": .text(target), "key": .text(key), "bytes": .integer(Int64(result.bytes)), "md5": .text(result.md5),
    ])
    Show.object(shown, [("written to", "out"), ("size", "bytes"), ("md5", "md5")], json: connection.json)
  }

  private func fetch(_ client: APIClient, _ path: String, to file: String, _ disk: RealDisk) async throws -> (
    bytes: Int, md5: String
  ) {
    let display = ProgressDisplay("get", json: connection.json)
    defer { display.finish() }
    let output = try failing {
      let output = try disk.open(file, .createOrOpen)
      try output.truncate(to: 0)
      return output
    }
    let hasher = Hasher(.md5)
    var (offset, size, tag) = (0, Int.max, "")
    while offset < size {
      let answer = try await client.raw(.GET, path, nil, Self.fields(from: offset, tag))
      let there = Self.size(answer)
      guard there.start == offset, tag.isEmpty || there.tag == tag, !answer.body.isEmpty || there.size == 0 else {
        throw CommandFailure(.failed, "the node answers with other bytes than were asked for: try again")
      }
      (size, tag) = (there.size, there.tag)
      let at = UInt64(offset)
      try failing { try output.write(answer.body, at: at) }
      hasher.update(answer.body)
      offset += answer.body.count
      display.update(size == 0 ? 1 : Double(offset) / Double(size), "fetching")
    }
    let md5 = hasher.finish().hex
    guard "\"\(md5)\"" == tag else {
      throw CommandFailure(.failed, "what came is not the recording: check the archive with `komora snapshot verify`")
    }
    try failing { try output.sync() }
    return (offset, md5)
  }

  private static func fields(from offset: Int, _ tag: String) -> HTTPHeaders {
    var fields: HTTPHeaders = ["range": "bytes=\(offset)-\(offset + rangeBytes - 1)"]
    if !tag.isEmpty { fields.add(name: "if-range", value: tag) }
    return fields
  }

  private static func size(_ answer: HTTPAnswer) -> (start: Int, size: Int, tag: String) {
    let tag = answer.headers.first(name: "etag") ?? ""
    // `bytes 0-99/1234`
    let range = answer.headers.first(name: "content-range")?.dropFirst(6)
    let start = range?.split(separator: "-").first.flatMap { Int($0) }
    let size = range?.split(separator: "/").last.flatMap { Int($0) }
    return (start ?? 0, size ?? answer.body.count, tag)
  }

  private func failing<T>(_ body: () throws -> T) throws -> T {
    do { return try body() } catch let error as DiskError {
      throw CommandFailure(.failed, "cannot write \(out): \(error); name another file with --out")
    }
  }
}
