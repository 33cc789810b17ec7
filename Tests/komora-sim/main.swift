// Runs the store on forgetful disks: `komora-sim [--seeds N] [--from M] [--bug NAME] [--verbose]`.
//
// Without a planted bug every seed must pass and every class of fault must have happened; the status is 1 otherwise.
// With `--bug` it runs until a checker convicts it, and the status is 1 when none does. A red seed prints its plan and
// what happened; the same seed does the same again.

import Glibc
import ShardStore
import StoreSim

// Dictionaries in the engine must have the same order in every process, or a seed would repeat nothing.
if getenv("SWIFT_DETERMINISTIC_HASHING") == nil {
  setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
  var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) }
  arguments.append(nil)
  execv("/proc/self/exe", &arguments)
}

let options: Options
do { options = try Options(Array(CommandLine.arguments.dropFirst())) } catch {
  print("komora-sim: \(error)")
  exit(2)
}
if options.asksForHelp {
  print(Options.help)
  exit(0)
}
exit(SeedRun(options).run() ? 0 : 1)
