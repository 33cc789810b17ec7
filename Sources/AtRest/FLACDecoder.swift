// A stream decoder of libFLAC for frames without metadata, used again for every chunk; used by one thread at a time.
//
// libFLAC goes on after damage and may yet give the full length. So the first error that it reports ends the decoding,
// and the frames must hold exactly the sample frames that are wanted.

import CFLAC
import OpenSSL
import Threads

final class FLACDecoder {
  static let perThread = PerThread { FLACDecoder() }

  private let decoder: UnsafeMutablePointer<FLAC__StreamDecoder>
  private var input = UnsafeRawBufferPointer(start: nil, count: 0)
  private var planes: AudioPlanes?
  private var bits = 0
  private var decoded = 0
  private var failed = false

  init() {
    guard let decoder = FLAC__stream_decoder_new() else { preconditionFailure("out of memory") }
    self.decoder = decoder
    FLAC__stream_decoder_set_metadata_ignore_all(decoder)
    let started = FLAC__stream_decoder_init_stream(
      decoder, { FLACDecoder.owner($3).read($1, $2) }, nil, nil, nil, nil, { FLACDecoder.owner($3).write($1, $2) }, nil,
      { FLACDecoder.owner($2).failed = true }, Unmanaged.passUnretained(self).toOpaque())
    precondition(started == FLAC__STREAM_DECODER_INIT_STATUS_OK, "libFLAC refuses a new decoder")
  }

  deinit { FLAC__stream_decoder_delete(decoder) }

  /// Fills the planes; false when the frames are not exactly theirs.
  func decode(_ frames: UnsafeRawBufferPointer, bits: Int, into planes: AudioPlanes) -> Bool {
    (input, self.bits, self.planes, decoded, failed) = (frames, bits, planes, 0, false)
    defer { (input, self.planes) = (UnsafeRawBufferPointer(start: nil, count: 0), nil) }
    // Forgets what an earlier chunk left, and looks for frames, never for metadata.
    guard FLAC__stream_decoder_flush(decoder) != 0 else { return false }
    while !failed, FLAC__stream_decoder_get_state(decoder) != FLAC__STREAM_DECODER_END_OF_STREAM {
      if FLAC__stream_decoder_process_single(decoder) == 0 { failed = true }
      IdlePause.take()
    }
    return !failed && decoded == planes.sampleFrames
  }

  private static func owner(_ raw: UnsafeMutableRawPointer?) -> FLACDecoder {
    Unmanaged<FLACDecoder>.fromOpaque(raw!).takeUnretainedValue()
  }

  private func read(
    _ buffer: UnsafeMutablePointer<FLAC__byte>?, _ count: UnsafeMutablePointer<Int>?
  ) -> FLAC__StreamDecoderReadStatus {
    // Once failed, nothing more is read: a search for the next frame would go through all that is left.
    guard !failed, let buffer, let count else { return FLAC__STREAM_DECODER_READ_STATUS_ABORT }
    count.pointee = min(count.pointee, input.count)
    guard count.pointee > 0 else { return FLAC__STREAM_DECODER_READ_STATUS_END_OF_STREAM }
    UnsafeMutableRawBufferPointer(start: buffer, count: count.pointee).copyMemory(
      from: UnsafeRawBufferPointer(rebasing: input[..<count.pointee]))
    input = UnsafeRawBufferPointer(rebasing: input[count.pointee...])
    return FLAC__STREAM_DECODER_READ_STATUS_CONTINUE
  }

  private func write(
    _ frame: UnsafePointer<FLAC__Frame>?, _ buffer: UnsafePointer<UnsafePointer<FLAC__int32>?>?
  ) -> FLAC__StreamDecoderWriteStatus {
    guard !failed, let header = frame?.pointee.header, let buffer, let planes, header.channels == planes.channels,
      header.bits_per_sample == bits, Int(header.blocksize) <= planes.sampleFrames - decoded
    else {
      failed = true
      return FLAC__STREAM_DECODER_WRITE_STATUS_ABORT
    }
    for channel in 0..<planes.channels {
      (planes[channel] + decoded).update(from: buffer[channel]!, count: Int(header.blocksize))
    }
    decoded += Int(header.blocksize)
    return FLAC__STREAM_DECODER_WRITE_STATUS_CONTINUE
  }
}
