// Runs clusters of members in virtual time: `komora-cluster-sim [--seeds N] [--from M] [--bug NAME] [--verbose]`.
//
// Each seed prints its plan first and how many faults took effect. Without a planted bug every seed must pass and must
// have met faults; with `--bug` it runs until a checker convicts it. The status is 1 otherwise.

import ClusterSim
import Glibc

let options: Options
do { options = try Options(Array(CommandLine.arguments.dropFirst())) } catch {
  print("komora-cluster-sim: \(error)")
  exit(2)
}
if options.asksForHelp {
  print(Options.help)
  exit(0)
}
exit(await SeedRun(options).run() ? 0 : 1)
