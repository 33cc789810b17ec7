// Counts calls from another thread's closure.

import Threads

final class Ended: Sendable {
  let times = Lock(0)
}
