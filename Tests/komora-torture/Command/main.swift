// Kills, breaks and searches stores of this machine: see `Torture`.

import Glibc
import Torture

exit(await Command.run(Array(CommandLine.arguments.dropFirst())))
