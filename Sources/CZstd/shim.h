#pragma once
#include <zstd.h>
#include <zstd_errors.h>

// The two sentinels are macros that do not import into Swift: -1 says that the frame names no size, -2 that it is none.
static inline long long komora_zstd_content_size(const void *p, size_t n) {
  unsigned long long size = ZSTD_getFrameContentSize(p, n);
  if (size == ZSTD_CONTENTSIZE_UNKNOWN) return -1;
  return size > 0x7fffffffffffffffULL ? -2 : (long long)size;
}
