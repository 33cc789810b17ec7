// The peer of the engine's commit rows: plain SQLite as its users run it, in C, with the same work and the same clock.
//
//   sqlite_peer DIRECTORY own|contended|locked WRITERS SECONDS [WARMUP]
//
// Every writer inserts single rows of 1 KiB, each its own commit, with journal_mode=WAL and synchronous=FULL.
//   own        a database file per writer
//   contended  one file, a connection per writer; SQLite's busy handler arbitrates
//   locked     one file, one connection, a mutex in front of it: the best that one file does
// Prints one JSON object. Not a library, no tuning that an application would not do.
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load_clock.h"

enum { ROW_BYTES = 1024, COUNT_MAX = 1 << 20 };

static char directory[512], row[ROW_BYTES];
static int own, locked, writers;
static double warmup, end;
static sqlite3 *shared_connection;
static sqlite3_stmt *shared_insert;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

struct writer {
  pthread_t thread;
  int number;
  long count;
  float *milliseconds;
};

static void must(int code, sqlite3 *db, const char *what) {
  if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return;
  fprintf(stderr, "sqlite_peer: %s: %s\n", what, db ? sqlite3_errmsg(db) : "no database");
  exit(1);
}

static sqlite3 *open_database(int number, sqlite3_stmt **insert) {
  char path[600];
  sqlite3 *db = NULL;
  snprintf(path, sizeof path, "%s/peer-%d.sqlite", directory, number);
  must(sqlite3_open(path, &db), db, "open");
  sqlite3_busy_timeout(db, 60000);
  must(sqlite3_exec(db, "pragma journal_mode=wal; pragma synchronous=full;"
                        "create table if not exists t (id integer primary key, v blob)", 0, 0, 0), db, "schema");
  must(sqlite3_prepare_v2(db, "insert into t (v) values (?)", -1, insert, 0), db, "prepare");
  must(sqlite3_bind_blob(*insert, 1, row, ROW_BYTES, SQLITE_STATIC), db, "bind");
  return db;
}

static void commit_one(sqlite3 *db, sqlite3_stmt *insert) {
  must(sqlite3_step(insert), db, "insert");
  sqlite3_reset(insert);
}

static void *work(void *argument) {
  struct writer *self = argument;
  sqlite3 *db = shared_connection;
  sqlite3_stmt *insert = shared_insert;
  if (!locked) db = open_database(own ? self->number : 0, &insert);
  for (;;) {
    double start = now(), done;
    if (locked) pthread_mutex_lock(&gate);
    commit_one(db, insert);
    if (locked) pthread_mutex_unlock(&gate);
    done = now();
    if (done >= end || self->count == COUNT_MAX) break;
    if (start >= warmup) self->milliseconds[self->count++] = (float)((done - start) * 1e3);
  }
  if (!locked) {
    sqlite3_finalize(insert);
    sqlite3_close(db);
  }
  return NULL;
}

int main(int count, char **arguments) {
  if (count < 5) {
    fprintf(stderr, "usage: sqlite_peer DIRECTORY own|contended|locked WRITERS SECONDS [WARMUP]\n");
    return 2;
  }
  snprintf(directory, sizeof directory, "%s", arguments[1]);
  own = !strcmp(arguments[2], "own");
  locked = !strcmp(arguments[2], "locked");
  writers = atoi(arguments[3]);
  double seconds = atof(arguments[4]);
  for (int i = 0; i < ROW_BYTES; i++) row[i] = (char)random();
  sqlite3_stmt *first;
  sqlite3 *schema = open_database(0, &first);
  if (locked) {
    shared_connection = schema;
    shared_insert = first;
  }
  warmup = now() + (count > 5 ? atof(arguments[5]) : 1);
  end = warmup + seconds;
  struct writer *all = calloc(writers, sizeof *all);
  for (int i = 0; i < writers; i++) {
    all[i].number = i;
    all[i].milliseconds = malloc(COUNT_MAX * sizeof(float));
    pthread_create(&all[i].thread, NULL, work, &all[i]);
  }
  long total = 0, at = 0;
  for (int i = 0; i < writers; i++) pthread_join(all[i].thread, NULL), total += all[i].count;
  float *merged = malloc((total + 1) * sizeof(float));
  for (int i = 0; i < writers; i++) {
    memcpy(merged + at, all[i].milliseconds, all[i].count * sizeof(float));
    at += all[i].count;
  }
  qsort(merged, total, sizeof(float), ascending);
  printf("{\"commits_per_second\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"commits\": %ld}\n", total / seconds,
         total ? merged[total / 2] : 0, total ? merged[total * 99 / 100] : 0, total);
  return 0;
}
