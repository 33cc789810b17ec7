// A stream encoder of libFLAC, used again for every chunk; used by one thread at a time.
//
// Only frames are kept. They name rate, channels and width themselves, so they are decoded without the metadata that a
// FLAC file begins with; the rate is always the same, the real one stands in the recording's own header.

import CFLAC
import OpenSSL

final class FLACEncoder {
  static let perThread = PerThread { FLACEncoder() }
  static let rate: UInt32 = 8000
  /// Short: telephone audio changes within a syllable. A shorter block gains more than a higher level.
  static let blockSampleFrames: UInt32 = 1024

  private let encoder: UnsafeMutablePointer<FLAC__StreamEncoder>
  private var frames: [UInt8] = []

  init() {
    guard let encoder = FLAC__stream_encoder_new() else { preconditionFailure("out of memory") }
    self.encoder = encoder
  }

  deinit { FLAC__stream_encoder_delete(encoder) }

  /// FLAC frames of all planes; nil when libFLAC refuses, after which the encoder is as new.
  func encode(_ planes: AudioPlanes, bits: Int) -> [UInt8]? {
    configure(channels: planes.channels, bits: bits)
    frames = []
    frames.reserveCapacity(planes.channels * planes.sampleFrames)
    defer { frames = [] }
    let started = FLAC__stream_encoder_init_stream(
      encoder,
      { _, bytes, count, sampleFrames, _, owner in
        // Metadata comes without sample frames.
        if sampleFrames > 0, let bytes, let owner {
          let this = Unmanaged<FLACEncoder>.fromOpaque(owner).takeUnretainedValue()
          this.frames.append(contentsOf: UnsafeBufferPointer(start: bytes, count: count))
        }
        return FLAC__STREAM_ENCODER_WRITE_STATUS_OK
      }, nil, nil, nil, Unmanaged.passUnretained(self).toOpaque())
    let starts = (0..<planes.channels).map { UnsafePointer<FLAC__int32>?(planes[$0]) }
    let processed =
      started == FLAC__STREAM_ENCODER_INIT_STATUS_OK
      && FLAC__stream_encoder_process(encoder, starts, UInt32(planes.sampleFrames)) != 0
    guard FLAC__stream_encoder_finish(encoder) != 0, processed else { return nil }
    return frames
  }

  /// `finish` takes every setting back. The level comes first: it sets what follows.
  private func configure(channels: Int, bits: Int) {
    FLAC__stream_encoder_set_compression_level(encoder, 5)
    FLAC__stream_encoder_set_channels(encoder, UInt32(channels))
    FLAC__stream_encoder_set_bits_per_sample(encoder, UInt32(bits))
    FLAC__stream_encoder_set_sample_rate(encoder, Self.rate)
    FLAC__stream_encoder_set_blocksize(encoder, Self.blockSampleFrames)
    FLAC__stream_encoder_set_max_lpc_order(encoder, 8)
    FLAC__stream_encoder_set_qlp_coeff_precision(encoder, 7)
    FLAC__stream_encoder_set_min_residual_partition_order(encoder, 0)
    FLAC__stream_encoder_set_max_residual_partition_order(encoder, 3)
    // Different people on each channel: their sum is no easier than either.
    FLAC__stream_encoder_set_do_mid_side_stereo(encoder, 0)
    FLAC__stream_encoder_set_loose_mid_side_stereo(encoder, 0)
    FLAC__stream_encoder_set_apodization(encoder, "tukey(5e-1)")
    komora_flac_no_md5(encoder)
  }
}
