// What a process that holds keys does to itself first: no core dumps, and no other process of the same user looks into
// its memory.

import Glibc

enum ProcessHardening {
  static func apply() {
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
    setDumpable(false)
  }

  /// prctl(PR_SET_DUMPABLE): variadic in C, so it is looked up by name. On the ABIs that Swift runs on under Linux,
  /// integer arguments of a variadic function travel as those of an ordinary one.
  private static func setDumpable(_ flag: Bool) {
    typealias Control = @convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32
    guard let symbol = dlsym(nil, "prctl") else { return }
    _ = unsafeBitCast(symbol, to: Control.self)(setDumpableOption, flag ? 1 : 0, 0, 0, 0)
  }

  /// PR_SET_DUMPABLE of linux/prctl.h.
  private static let setDumpableOption: Int32 = 4
}
