#pragma once
// SQLITE_ENABLE_* before the include: Debian's build has these, its header hides them otherwise.
#define SQLITE_ENABLE_SESSION 1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#define SQLITE_ENABLE_COLUMN_METADATA 1
#include <sqlite3.h>

// Variadics do not import into Swift.
static inline int komora_db_config(sqlite3 *db, int op, int on) {
  int now = -1;
  return sqlite3_db_config(db, op, on, &now);
}
static inline int komora_config_memstatus(int on) { return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, on); }
// SQLITE_TRANSIENT is a cast that Swift can only spell with unsafeBitCast.
static inline int komora_bind_text(sqlite3_stmt *s, int i, const char *p, sqlite3_uint64 n) {
  return sqlite3_bind_text64(s, i, p, n, SQLITE_TRANSIENT, SQLITE_UTF8);
}
static inline int komora_bind_blob(sqlite3_stmt *s, int i, const void *p, sqlite3_uint64 n) {
  return n == 0 ? sqlite3_bind_zeroblob(s, i, 0) : sqlite3_bind_blob64(s, i, p, n, SQLITE_TRANSIENT);
}
// What stays where it is until the bindings are cleared.
static inline int komora_bind_text_static(sqlite3_stmt *s, int i, const char *p, sqlite3_uint64 n) {
  return sqlite3_bind_text64(s, i, p, n, SQLITE_STATIC, SQLITE_UTF8);
}
static inline int komora_bind_blob_static(sqlite3_stmt *s, int i, const void *p, sqlite3_uint64 n) {
  return n == 0 ? sqlite3_bind_zeroblob(s, i, 0) : sqlite3_bind_blob64(s, i, p, n, SQLITE_STATIC);
}
static inline void komora_set_message(char **out, const char *text) { *out = sqlite3_mprintf("%s", text); }
