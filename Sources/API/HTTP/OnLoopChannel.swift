// Connections whose tasks run on the event loops that serve them.
//
// A request mostly waits: for its bytes, for the engine, for its client. On threads of its own each of these costs a
// switch; on the loop the next step is taken where the answer arrives. Nothing here blocks: the engine has its own
// threads, and so has whatever calls into C for long.

import HummingbirdCore
import Logging
import NIOCore

struct OnLoopChannel<Base: ServerChildChannel>: ServerChildChannel {
  typealias Value = Base.Value

  private let base: Base

  init(_ base: Base) { self.base = base }

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    base.setup(channel: channel, logger: logger)
  }

  func handle(value: Value, logger: Logger) async {
    await withTaskExecutorPreference(EventLoopTaskExecutor(value.channel.eventLoop)) {
      await base.handle(value: value, logger: logger)
    }
  }
}

private final class EventLoopTaskExecutor: TaskExecutor {
  private let loop: any EventLoop

  init(_ loop: any EventLoop) { self.loop = loop }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    loop.execute { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
