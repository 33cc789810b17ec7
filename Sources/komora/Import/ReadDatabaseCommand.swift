// The hidden subcommand in which a foreign database is read: a process of its own with little to lose.
//
// It may use two hours of processor time and 4 GiB of address space, write no file, and open few. A file made to
// exploit SQLite finds no key and no token here.

import ArgumentParser
import Foundation
import Glibc

struct ReadDatabaseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "read-database", shouldDisplay: false)

  @Argument var path: String
  @Option var skip: [String] = []

  func run() {
    Self.limit(RLIMIT_CORE, 0)
    Self.limit(RLIMIT_CPU, 7200)
    Self.limit(RLIMIT_AS, 4 << 30)
    Self.limit(RLIMIT_FSIZE, 0)
    Self.limit(RLIMIT_NOFILE, 32)
    DatabaseReader(path: path, skipped: Set(skip), output: .standardOutput).run()
  }

  private static func limit(_ resource: __rlimit_resource, _ value: rlim_t) {
    var limit = rlimit(rlim_cur: value, rlim_max: value)
    setrlimit(__rlimit_resource_t(resource.rawValue), &limit)
  }
}
