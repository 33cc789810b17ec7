// The format page is enough: a decoder in Python, written from it alone, gives the same bytes.

import AtRest
import Base
import Disk
import Foundation
import Testing

struct AudioChunkPageTests {
  private static let tools = ["python3", "zstd", "flac"].allSatisfy { access("/usr/bin/\($0)", X_OK) == 0 }
  private static let decoder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("scripts/lib/audio_chunk.py").path

  @Test("a decoder written from the format page gives the original of every kind", .enabled(if: tools))
  func page() throws {
    let directory = TemporaryDirectory()
    for kind in CallSignal.Kind.allCases {
      for policy in AudioPolicy.allCases {
        let text = WAVFile.chunk("LIST", Array(String(repeating: "agent 7, queue 3; ", count: 30).utf8))
        let original = CallSignal(seed: 6).file(kind, channels: 2, sampleFrames: 17_301) + text
        let audio = try #require(AudioChunkCoder(front: original, fileBytes: original.count, policy: policy))
        let coded = try #require(audio.encode(original, at: 0))
        try directory.write("chunk", coded)
        #expect(run(["/usr/bin/python3", "-B", Self.decoder, directory.file("chunk"), directory.file("back")]) == 0)
        #expect(try readWhole(RealDisk(), directory.file("back")) == original, "\(kind), \(policy)")
      }
    }
  }
}
