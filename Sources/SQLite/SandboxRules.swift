// The allow-list (https://www.sqlite.org/c3ref/c_alter_table.html): what is not named here is denied.

import CSQLite

/// Pragmas that clients may use, also in their function form.
private let allowedPragmas: Set<String> = [
  "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list",
  "foreign_key_check", "foreign_keys", "defer_foreign_keys", "user_version", "quick_check", "integrity_check",
  "read_uncommitted",
]
/// Of those, the ones that change something when they get a value.
private let settingPragmas: Set<String> = ["foreign_keys", "defer_foreign_keys", "read_uncommitted"]

/// Virtual tables that clients may make.
private let allowedModules: Set<String> = ["fts5", "fts5vocab", "rtree", "rtree_i32", "geopoly"]

/// Tables whose content shows raw pages or other connections' statements.
private let hiddenTables: Set<String> = ["sqlite_dbpage", "sqlite_stmt", "bytecode", "tables_used"]

private let deniedFunctions: Set<String> = [
  "load_extension", "fts3_tokenizer", "sqlite_compileoption_get", "sqlite_compileoption_used",
]

/// Views through which clients may read system tables.
private let openViews: Set<String> = ["komora_objects"]

private func isReserved(_ name: String?) -> Bool {
  guard let name else { return false }
  return name.lowercased().hasPrefix("komora_")
}

let sandboxAuthorize:
  @convention(c) (
    UnsafeMutableRawPointer?, Int32, UnsafePointer<CChar>?, UnsafePointer<CChar>?, UnsafePointer<CChar>?,
    UnsafePointer<CChar>?
  ) -> Int32 = { raw, action, first, second, database, inner in
    let state = SandboxState.of(raw)
    func text(_ p: UnsafePointer<CChar>?) -> String? { p.map { String(cString: $0) } }
    guard state.mode == .client else { return SQLITE_OK }
    // SELECT and READ come once a column: the cheap ones first.
    switch action {
    case SQLITE_SELECT, SQLITE_RECURSIVE: return SQLITE_OK
    case SQLITE_READ: return authorizeRead(state, table: text(first), inner: text(inner))
    default: break
    }
    if text(database) == "temp" { state.effects.insert(.temporary) }
    return authorizeOther(state, action, text(first), text(second))
  }

private func authorizeRead(_ state: SandboxState, table: String?, inner: String?) -> Int32 {
  guard let table = table?.lowercased() else { return SQLITE_OK }
  if hiddenTables.contains(table) { return state.deny("\(table) is not open to clients") }
  if table.hasPrefix("komora_"), !openViews.contains(table),
    !(inner.map { openViews.contains($0.lowercased()) } ?? false)
  {
    return state.deny("\(table) belongs to the system; read komora_objects instead")
  }
  return SQLITE_OK
}

private func authorizeOther(_ state: SandboxState, _ action: Int32, _ first: String?, _ second: String?) -> Int32 {
  switch action {
  case SQLITE_TRANSACTION:
    state.effects.insert(.transaction)
    return SQLITE_OK
  case SQLITE_SAVEPOINT:
    state.effects.insert(.savepoint)
    if isReserved(second) { return state.deny("names that begin with komora_ are reserved") }
    return SQLITE_OK
  case SQLITE_INSERT, SQLITE_UPDATE, SQLITE_DELETE:
    return isReserved(first) ? state.deny("\(first!) belongs to the system") : SQLITE_OK
  case SQLITE_FUNCTION:
    let name = (second ?? "").lowercased()
    return deniedFunctions.contains(name) ? state.deny("function \(name) is not open to clients") : SQLITE_OK
  case SQLITE_PRAGMA:
    return authorizePragma(state, (first ?? "").lowercased(), value: second)
  case SQLITE_CREATE_TEMP_TABLE, SQLITE_CREATE_TEMP_INDEX, SQLITE_CREATE_TEMP_TRIGGER, SQLITE_CREATE_TEMP_VIEW,
    SQLITE_DROP_TEMP_TABLE, SQLITE_DROP_TEMP_INDEX, SQLITE_DROP_TEMP_TRIGGER, SQLITE_DROP_TEMP_VIEW:
    state.effects.insert(.temporary)
    return authorizeSchema(state, first, second)
  case SQLITE_CREATE_TABLE, SQLITE_CREATE_INDEX, SQLITE_CREATE_TRIGGER, SQLITE_CREATE_VIEW, SQLITE_DROP_TABLE,
    SQLITE_DROP_INDEX, SQLITE_DROP_TRIGGER, SQLITE_DROP_VIEW, SQLITE_ALTER_TABLE, SQLITE_REINDEX, SQLITE_ANALYZE:
    return authorizeSchema(state, first, second)
  case SQLITE_CREATE_VTABLE, SQLITE_DROP_VTABLE:
    let module = (second ?? "").lowercased()
    guard allowedModules.contains(module) else { return state.deny("virtual tables of \(module) are not offered") }
    return authorizeSchema(state, first, nil)
  case SQLITE_ATTACH: return state.deny("ATTACH and VACUUM are not open to clients")
  case SQLITE_DETACH: return state.deny("DETACH is not open to clients")
  default: return state.deny("this action is not open to clients")
  }
}

private func authorizeSchema(_ state: SandboxState, _ first: String?, _ second: String?) -> Int32 {
  state.effects.insert(.schema)
  if isReserved(first) || isReserved(second) { return state.deny("names that begin with komora_ are reserved") }
  return SQLITE_OK
}

private func authorizePragma(_ state: SandboxState, _ name: String, value: String?) -> Int32 {
  guard allowedPragmas.contains(name) else { return state.deny("PRAGMA \(name) is not open to clients") }
  if settingPragmas.contains(name), value != nil { state.effects.insert(.pragma) }
  return SQLITE_OK
}
