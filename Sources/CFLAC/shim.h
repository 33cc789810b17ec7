#pragma once
#include <FLAC/stream_decoder.h>
#include <FLAC/stream_encoder.h>

// libFLAC hashes every sample with MD5 for a header that we do not keep, a fifth of the time. Its own command line tool
// switches that off by a function that the library exports without declaring it; weak, so that one without it links too.
extern FLAC__bool FLAC__stream_encoder_set_do_md5(FLAC__StreamEncoder *encoder, FLAC__bool value)
    __attribute__((weak));

static inline void komora_flac_no_md5(FLAC__StreamEncoder *encoder) {
  if (FLAC__stream_encoder_set_do_md5) FLAC__stream_encoder_set_do_md5(encoder, 0);
}

// A pointer that is declared as one that may change, which Swift does not read.
static inline const char *komora_flac_version(void) { return FLAC__VERSION_STRING; }
