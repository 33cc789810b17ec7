// Runs a program to its end, its output thrown away.

import Glibc

func run(_ arguments: [String]) -> Int32 {
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  for descriptor: Int32 in 0...2 { posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0) }
  var vector = arguments.map { strdup($0) } + [nil]
  defer { for word in vector { free(word) } }
  var child = pid_t()
  guard posix_spawn(&child, arguments[0], &actions, nil, &vector, environ) == 0 else { return 127 }
  var status: Int32 = 0
  while waitpid(child, &status, 0) < 0 {}
  return status & 0x7f == 0 ? status >> 8 & 0xff : 128
}
