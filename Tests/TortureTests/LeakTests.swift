// A closed engine gives everything back that it had open.

import Disk
import Testing
import Torture

@Suite(.serialized) struct LeakTests {
  @Test("opening and closing a store again and again keeps no file open")
  func descriptors() throws {
    let directory = TortureDirectory()
    defer { withExtendedLifetime(directory) {} }
    let path = directory.path
    func once(_ tx: Int) throws {
      let bench = try Bench(path, disk: RealDisk())
      if tx == 1 { try bench.create(1) }
      _ = try bench.write(1, tx: tx).get()
      try bench.record(1, number: tx, bytes: 1_000)
      _ = bench.checkpointAndSplit()
      bench.close()
    }
    try once(1)
    let before = openFiles(below: path)
    for tx in 2...12 { try once(tx) }
    #expect(openFiles(below: path) == before)
    #expect(before == 0)
  }
}
