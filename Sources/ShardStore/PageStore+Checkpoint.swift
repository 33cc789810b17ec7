// What a checkpoint asks of the page versions: which to write, what an older reader still needs, which may go.

import Base
import Threads

extension PageStore {
  /// One page to write.
  struct FlushPage {
    var number: PageNumber
    var image: [UInt8]
  }

  /// The published index at which a checkpoint flushes, not after `limit`, the size there, and the pages that changed since
  /// the last.
  func flushPlan(limit: Position? = nil) -> (upTo: Position, pages: UInt32, numbers: [PageNumber]) {
    state.with { s in
      let upTo = limit.map { $0.index < s.published.index ? $0 : s.published } ?? s.published
      let numbers = s.chains.compactMap { number, chain in
        chain.contains { $0.index > s.flushed && $0.index <= upTo.index } ? number : nil
      }
      return (upTo, s.pages(at: upTo.index), numbers.sorted())
    }
  }

  /// The images to write for `numbers`. Where a reader's pin is older than a page's oldest version, what the main file
  /// has goes into the chain first, because it is about to be overwritten.
  func flushImages(_ numbers: [PageNumber], upTo: Position) throws(StoreError) -> [FlushPage] {
    var images: [FlushPage] = []
    for number in numbers {
      let (version, needsOld) = state.with { s in
        let version = s.version(of: number, at: upTo.index)
        return (version, (s.chains[number]?.first?.index ?? 0) > s.minPin)
      }
      guard let version else { continue }
      if needsOld { try keepOld(number) }
      images.append(FlushPage(number: number, image: version.image))
    }
    return images
  }

  private func keepOld(_ number: PageNumber) throws(StoreError) {
    let image: [UInt8]
    switch main.read(number) {
    case .image(let bytes): image = bytes
    // The page is new: no reader that is older has it.
    case .beyondEnd: return
    case .damaged:
      // Torn by a crash in the middle of an earlier checkpoint; no reader pinned before the redo exists any more.
      return
    case .failed: throw StoreError(.io, "page \(number) of the database cannot be read")
    }
    state.with { s in
      guard let first = s.chains[number]?.first, first.index > 0 else { return }
      s.chains[number]!.insert(PageVersion(index: 0, image: image, markSerial: 0), at: 0)
      s.versionCount += 1
    }
  }

  /// Versions up to `upTo` are durable in the main file: forgets those that no reader needs.
  func flushed(_ upTo: Position) {
    state.with { s in
      s.flushed = upTo.index
      let pin = s.minPin
      // Pages behind the end were not written: a reader from before the database shrank has them only here.
      let size = s.pages(at: upTo.index)
      let widest = s.sessions.values.reduce(size) { max($0, s.pages(at: $1 ?? upTo.index)) }
      for (number, chain) in s.chains {
        guard let newest = chain.last else { continue }
        if newest.index <= upTo.index, newest.index <= pin, number <= size || number > widest {
          s.versionCount -= chain.count
          s.chains[number] = nil
        } else {
          s.prune(number, below: pin)
        }
      }
      // Sizes from before the oldest pin keep the file from being cut.
      if let keep = s.sizes.lastIndex(where: { $0.index <= pin }), keep > 0 { s.sizes.removeFirst(keep) }
    }
  }

  var versionCount: Int { state.with { $0.versionCount } }
  /// Versions that the main file does not have.
  var hasUnflushed: Bool { state.with { s in s.chains.values.contains { ($0.last?.index ?? 0) > s.flushed } } }
  var currentPages: UInt32 { state.with { s in s.sizes.map(\.pages).max()! } }
  var minPin: LogIndex { state.with { $0.minPin } }
}
