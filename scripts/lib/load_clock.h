// What the C programs of the bench measure with: one clock, and the order of what it gave. The same for both sides of a
// comparison, so that neither is measured in another way.
#pragma once
#include <time.h>

// Seconds that only go forward.
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

// For qsort over milliseconds.
static int ascending(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}
