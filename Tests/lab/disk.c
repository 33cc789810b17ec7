/* A disk with a volatile cache whose power can be cut: one file, served over FUSE, that a loop device stands on.
 *
 * What is written is seen at once and lost at a power cut unless a sync came after it, as with a real disk's cache. Of
 * each 4 KiB block that no sync had reached, a cut keeps the new content, the old, or some sectors of each, by chance
 * (seeded): kernels and disks write in any order. From the cut to `restore` everything fails. Other commands make
 * writes and syncs fail (a failed write may have reached the disk or not; after a failed sync a part of what was to be
 * synced may be gone, and the next sync says that all is well, as on Linux), or syncs slow.
 *
 *   disk MOUNTPOINT BYTES SEED      serves MOUNTPOINT/disk; commands are lines on standard input, each answered by one:
 *   cut | restore | fail 0|1 | sync_us N | counts
 *
 * The content lives in memory (sparse): it outlives the machine that is simulated, and ends with this process. The
 * kernel's FUSE protocol is spoken directly (linux/fuse.h): a dozen requests are all that one file needs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, SECTOR = 512, WRITE_MAX = 1 << 20, FILE_NODE = 2 };

static unsigned char *content;
static uint64_t bytes, blocks;
/* The content that the last sync left of a block that was written since; NULL for a block that is as synced. */
static unsigned char **synced;
static uint64_t *unsynced, unsynced_count;
static int is_cut, is_failing;
static long sync_us;
static uint64_t writes, syncs, dropped, kept, torn, failed;
static uint64_t state;

static uint64_t random_number(void) {
  /* splitmix64 */
  uint64_t z = (state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void remember(uint64_t block) {
  if (synced[block]) return;
  synced[block] = malloc(BLOCK);
  if (!synced[block]) die("memory");
  memcpy(synced[block], content + block * BLOCK, BLOCK);
  unsynced[unsynced_count++] = block;
}

static void forget_all(void) {
  for (uint64_t i = 0; i < unsynced_count; i++) {
    free(synced[unsynced[i]]);
    synced[unsynced[i]] = NULL;
  }
  unsynced_count = 0;
}

static void cut(void) {
  /* One cut in four loses everything, one keeps everything that was handed over; the others choose per block. */
  uint64_t mood = random_number() % 4;
  for (uint64_t i = 0; i < unsynced_count; i++) {
    unsigned char *now = content + unsynced[i] * BLOCK, *before = synced[unsynced[i]];
    uint64_t fate = mood == 0 ? 0 : mood == 1 ? 1 : random_number() % 5;
    if (fate == 0 || fate == 2) {
      memcpy(now, before, BLOCK);
      dropped++;
    } else if (fate == 3) {
      for (int s = 0; s < BLOCK / SECTOR; s++)
        if (random_number() & 1) memcpy(now + s * SECTOR, before + s * SECTOR, SECTOR);
      torn++;
    } else {
      kept++;
    }
  }
  forget_all();
  is_cut = 1;
}

static int take_write(const unsigned char *data, uint64_t offset, uint32_t size) {
  if (is_cut || offset > bytes || size > bytes - offset) return -EIO;
  if (is_failing) {
    failed++;
    if (random_number() & 1) return -EIO;
  }
  if (size) {
    for (uint64_t b = offset / BLOCK; b <= (offset + size - 1) / BLOCK; b++) remember(b);
    memcpy(content + offset, data, size);
  }
  writes++;
  return is_failing ? -EIO : 0;
}

/* Discards and zeroed ranges: written as such, piece by piece, so that a cut may undo a part of them too. */
static int take_zeroes(uint64_t offset, uint64_t size) {
  static const unsigned char zeroes[BLOCK];
  int error = 0;
  while (size && !error) {
    uint32_t piece = size < BLOCK - offset % BLOCK ? size : BLOCK - offset % BLOCK;
    error = take_write(zeroes, offset, piece);
    offset += piece;
    size -= piece;
  }
  return error;
}

static int take_sync(void) {
  if (is_cut) return -EIO;
  if (sync_us) {
    struct timespec pause = {sync_us / 1000000, sync_us % 1000000 * 1000};
    nanosleep(&pause, NULL);
  }
  if (is_failing) {
    /* As on Linux: a part may have been lost, and the next sync says that all is well. */
    failed++;
    for (uint64_t i = 0; i < unsynced_count; i++)
      if (random_number() & 1) memcpy(content + unsynced[i] * BLOCK, synced[unsynced[i]], BLOCK);
    forget_all();
    return -EIO;
  }
  forget_all();
  syncs++;
  return 0;
}

static void attributes(uint64_t node, struct fuse_attr *attr) {
  memset(attr, 0, sizeof *attr);
  attr->ino = node;
  attr->mode = node == FILE_NODE ? S_IFREG | 0600 : S_IFDIR | 0700;
  attr->nlink = 1;
  attr->size = node == FILE_NODE ? bytes : 0;
  attr->blocks = attr->size / 512;
  attr->blksize = BLOCK;
}

static void answer(int fuse, uint64_t unique, int error, const void *data, size_t size) {
  struct fuse_out_header head = {.len = (uint32_t)(sizeof head + (error ? 0 : size)), .error = error, .unique = unique};
  struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, error ? 0 : size}};
  if (writev(fuse, parts, 2) < 0 && errno != ENOENT) die("answer");
}

static void serve(int fuse, const unsigned char *request) {
  const struct fuse_in_header *head = (const void *)request;
  const void *body = head + 1;
  uint64_t unique = head->unique;
  switch (head->opcode) {
    case FUSE_INIT: {
      const struct fuse_init_in *in = body;
      struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION};
      out.max_readahead = in->max_readahead;
      out.flags = in->flags & (FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_ASYNC_READ);
      out.max_write = WRITE_MAX;
      out.max_pages = WRITE_MAX / BLOCK;
      out.max_background = 64;
      out.congestion_threshold = 48;
      out.time_gran = 1;
      answer(fuse, unique, 0, &out, sizeof out);
      return;
    }
    case FUSE_LOOKUP: {
      struct fuse_entry_out out = {.nodeid = FILE_NODE, .attr_valid = 3600, .entry_valid = 3600};
      attributes(FILE_NODE, &out.attr);
      answer(fuse, unique, strcmp(body, "disk") ? -ENOENT : 0, &out, sizeof out);
      return;
    }
    case FUSE_GETATTR:
    case FUSE_SETATTR: {
      struct fuse_attr_out out = {.attr_valid = 3600};
      attributes(head->nodeid, &out.attr);
      answer(fuse, unique, 0, &out, sizeof out);
      return;
    }
    case FUSE_OPEN: {
      struct fuse_open_out out = {.fh = 1, .open_flags = FOPEN_DIRECT_IO};
      answer(fuse, unique, 0, &out, sizeof out);
      return;
    }
    case FUSE_READ: {
      const struct fuse_read_in *in = body;
      uint64_t size = in->offset >= bytes ? 0 : in->size < bytes - in->offset ? in->size : bytes - in->offset;
      answer(fuse, unique, is_cut ? -EIO : 0, content + in->offset, size);
      return;
    }
    case FUSE_WRITE: {
      const struct fuse_write_in *in = body;
      struct fuse_write_out out = {.size = in->size};
      answer(fuse, unique, take_write((const unsigned char *)(in + 1), in->offset, in->size), &out, sizeof out);
      return;
    }
    case FUSE_FALLOCATE: {
      const struct fuse_fallocate_in *in = body;
      answer(fuse, unique, take_zeroes(in->offset, in->length), NULL, 0);
      return;
    }
    case FUSE_FSYNC:
      answer(fuse, unique, take_sync(), NULL, 0);
      return;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_ACCESS:
      answer(fuse, unique, 0, NULL, 0);
      return;
    case FUSE_STATFS: {
      struct fuse_statfs_out out = {.st = {.blocks = blocks, .bsize = BLOCK, .frsize = BLOCK, .namelen = 255}};
      answer(fuse, unique, 0, &out, sizeof out);
      return;
    }
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
      return;
    default:
      answer(fuse, unique, -ENOSYS, NULL, 0);
  }
}

static void command(char *line) {
  long value;
  if (!strncmp(line, "cut", 3)) {
    cut();
  } else if (!strncmp(line, "restore", 7)) {
    is_cut = is_failing = 0;
    sync_us = 0;
  } else if (sscanf(line, "fail %ld", &value) == 1) {
    is_failing = value != 0;
  } else if (sscanf(line, "sync_us %ld", &value) == 1) {
    sync_us = value;
  } else if (strncmp(line, "counts", 6)) {
    printf("{\"error\":\"no such command\"}\n");
    fflush(stdout);
    return;
  }
  printf("{\"writes\":%lu,\"syncs\":%lu,\"unsynced\":%lu,\"dropped\":%lu,\"kept\":%lu,\"torn\":%lu,\"failed\":%lu}\n",
         writes, syncs, unsynced_count, dropped, kept, torn, failed);
  fflush(stdout);
}

int main(int count, char **arguments) {
  if (count != 4) {
    fprintf(stderr, "disk MOUNTPOINT BYTES SEED\n");
    return 2;
  }
  bytes = strtoull(arguments[2], NULL, 10) / BLOCK * BLOCK;
  state = strtoull(arguments[3], NULL, 10);
  blocks = bytes / BLOCK;
  content = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  synced = calloc(blocks, sizeof *synced);
  unsynced = calloc(blocks, sizeof *unsynced);
  if (content == MAP_FAILED || !synced || !unsynced) die("memory");
  int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fuse < 0) die("/dev/fuse");
  char options[128];
  snprintf(options, sizeof options, "fd=%d,rootmode=40700,user_id=0,group_id=0", fuse);
  if (mount("komora-lab-disk", arguments[1], "fuse", MS_NOSUID | MS_NODEV, options)) die("mount");
  printf("ready\n");
  fflush(stdout);
  static unsigned char request[WRITE_MAX + 65536];
  struct pollfd waiting[2] = {{fuse, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  for (;;) {
    if (poll(waiting, 2, -1) < 0 && errno != EINTR) die("poll");
    if (waiting[1].revents) {
      char line[256];
      ssize_t size = read(STDIN_FILENO, line, sizeof line - 1);
      if (size <= 0) return 0;
      line[size] = 0;
      command(line);
    }
    if (waiting[0].revents) {
      ssize_t size = read(fuse, request, sizeof request);
      if (size < 0 && errno == ENODEV) return 0;
      if (size < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT) die("request");
      if (size >= (ssize_t)sizeof(struct fuse_in_header)) serve(fuse, request);
    }
  }
}
