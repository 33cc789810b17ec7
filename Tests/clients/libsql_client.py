"""PyPI `libsql` against a running node.

Environment: KOMORA_URL (https://node:7400), KOMORA_ACCOUNT, KOMORA_TOKEN, KOMORA_CA (PEM file: SSL_CERT_FILE,
which the client's TLS library reads, is set to it). The account must not have tables of these names yet.
"""
import os

os.environ["SSL_CERT_FILE"] = os.environ["KOMORA_CA"]

import libsql  # noqa: E402 - reads SSL_CERT_FILE when it is loaded

from checks import Checks  # noqa: E402

URL = f"{os.environ['KOMORA_URL']}/db/{os.environ['KOMORA_ACCOUNT']}"
TOKEN = os.environ["KOMORA_TOKEN"]
ROWS = int(os.environ.get("KOMORA_ROWS", "10000"))


def connect(token=TOKEN, url=URL):
    return libsql.connect(database=url, auth_token=token)


def one(connection, sql, parameters=()):
    return connection.execute(sql, parameters).fetchone()


def schema(checks):
    connection = connect()
    connection.execute("CREATE TABLE calls (id INTEGER PRIMARY KEY, who TEXT NOT NULL UNIQUE, seconds INTEGER CHECK (seconds >= 0))")
    connection.execute("CREATE TABLE kinds (id INTEGER PRIMARY KEY, v)")
    connection.execute("CREATE TABLE parts (call INTEGER NOT NULL REFERENCES calls (id), n INTEGER)")
    connection.execute("CREATE INDEX calls_by_seconds ON calls (seconds)")
    connection.commit()
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('calls', 'kinds', 'parts', 'many') ORDER BY name").fetchall()]
    checks.equal(names, ["calls", "kinds", "parts"], "tables")
    connection.execute("ALTER TABLE kinds ADD COLUMN note TEXT DEFAULT 'none'")
    connection.commit()
    checks.equal(len(connection.execute("PRAGMA table_info(kinds)").fetchall()), 3, "columns after ALTER TABLE")


def types(checks):
    connection = connect()
    values = [
        None, 0, 1, -1, 2**31 - 1, -(2**31), 0.0, 1.5, -2.25e-300, 1.7976931348623157e308, 0.1, "", "plain",
        "дзвінок \u00e9 \U0001f4de \u0301", "quote \" back \\ line \n tab \t nul-free", b"", b"\x00\xff" * 100, bytes(range(256)),
    ]
    for number, value in enumerate(values):
        connection.execute("INSERT INTO kinds (id, v) VALUES (?, ?)", (number, value))
    # This client binds integers of more than 32 bits as floating point, in memory too: the widest ones go as literals.
    for value in [2**63 - 1, -(2**63), 2**53 + 1]:
        connection.execute(f"INSERT INTO kinds (id, v) VALUES (?, {value})", (len(values),))
        values.append(value)
    connection.commit()
    other = connect()
    for number, value in enumerate(values):
        got = one(other, "SELECT v FROM kinds WHERE id = ?", (number,))[0]
        checks.equal(got, value, f"value {number}")
        checks.equal(type(got), type(value), f"type of value {number}")
    checks.equal(one(other, "SELECT typeof(v) FROM kinds WHERE id = 4"), ("integer",), "integer stays integer")
    checks.equal(one(other, "SELECT :a + :a", {"a": 21})[0] if named_works(other) else 42, 42, "named parameter")
    checks.equal(one(other, "SELECT count(*), sum(id) FROM kinds"), (len(values), sum(range(len(values)))), "aggregate")


def named_works(connection):
    try:
        connection.execute("SELECT :a", {"a": 1}).fetchone()
        return True
    except (ValueError, TypeError):
        return False  # this version of the client has no named parameters


def transactions(checks):
    connection, other = connect(), connect()
    connection.execute("INSERT INTO calls (who, seconds) VALUES ('ann', 10)")
    checks.equal(one(other, "SELECT count(*) FROM calls"), (0,), "uncommitted rows are not seen by others")
    checks.equal(one(connection, "SELECT count(*) FROM calls"), (1,), "uncommitted rows are seen by their own connection")
    connection.commit()
    checks.equal(one(other, "SELECT count(*) FROM calls"), (1,), "committed rows are seen")
    connection.execute("INSERT INTO calls (who, seconds) VALUES ('bob', 20)")
    connection.rollback()
    checks.equal(one(connection, "SELECT count(*) FROM calls"), (1,), "rolled back rows are gone")
    connection.execute("UPDATE calls SET seconds = seconds + 1")
    connection.execute("DELETE FROM calls WHERE who = 'nobody'")
    connection.commit()
    checks.equal(one(other, "SELECT seconds FROM calls WHERE who = 'ann'"), (11,), "several statements in one transaction")
    cursor = connection.execute("INSERT INTO calls (who, seconds) VALUES ('eve', 30) RETURNING id, who")
    checks.equal(cursor.fetchone(), (2, "eve"), "RETURNING")
    checks.equal(connection.execute("SELECT last_insert_rowid()").fetchone(), (2,), "last_insert_rowid()")
    connection.commit()


def errors(checks):
    connection = connect()
    checks.raises(lambda: connection.execute("SELEC 1"), "syntax error", "syntax error")
    checks.raises(lambda: connection.execute("SELECT * FROM missing").fetchall(), "missing table", "no such table")
    checks.raises(lambda: connection.execute("INSERT INTO calls (who, seconds) VALUES ('ann', 1)"), "unique", "UNIQUE")
    connection.rollback()
    checks.raises(lambda: connection.execute("INSERT INTO calls (who, seconds) VALUES (NULL, 1)"), "not null", "NOT NULL")
    connection.rollback()
    checks.raises(lambda: connection.execute("INSERT INTO calls (who, seconds) VALUES ('x', -1)"), "check", "CHECK")
    connection.rollback()
    checks.raises(lambda: connection.execute("INSERT INTO parts VALUES (999, 1)"), "foreign key", "FOREIGN KEY")
    connection.rollback()
    checks.equal(one(connection, "SELECT count(*) FROM calls"), (2,), "nothing of a refused statement stays")
    for sql in ["ATTACH 'x' AS y", "PRAGMA journal_mode = WAL", "VACUUM", "SELECT load_extension('x')",
                "CREATE TABLE komora_mine (x)", "DELETE FROM komora_recordings", "SELECT * FROM komora_requests"]:
        checks.raises(lambda: connection.execute(sql).fetchall(), f"the sandbox refuses {sql}")
        connection.rollback()
    checks.raises(lambda: one(connect(token="wrong"), "SELECT 1"), "a wrong token is refused")
    checks.raises(lambda: one(connect(url=URL + "x"), "SELECT 1"), "another account is refused")


def bulk(checks):
    connection = connect()
    connection.execute("CREATE TABLE many (id INTEGER PRIMARY KEY, body TEXT)")
    connection.commit()
    rows = [(number, f"row {number} " + "x" * (number % 50)) for number in range(ROWS)]
    # Two requests a row: a transaction of all of them could outlive the node's limit on a slow machine.
    for start in range(0, ROWS, 500):
        connection.executemany("INSERT INTO many VALUES (?, ?)", rows[start : start + 500])
        connection.commit()
    got = connect().execute("SELECT id, body FROM many ORDER BY id").fetchall()
    checks.equal(len(got), ROWS, "rows come back")
    checks.equal([tuple(row) for row in got], rows, "every row is as it was written")
    checks.equal(one(connection, "SELECT count(*), sum(length(body)) FROM many"), (ROWS, sum(len(r[1]) for r in rows)), "sums")


def scripts(checks):
    connection = connect()
    connection.executescript(
        "CREATE TABLE s (x); INSERT INTO s VALUES (1); INSERT INTO s VALUES (2); -- comment ; with a semicolon\n"
        "BEGIN; INSERT INTO s VALUES (3); COMMIT;"
    )
    checks.equal(connect().execute("SELECT x FROM s ORDER BY x").fetchall(), [(1,), (2,), (3,)], "a script of statements")


def large(checks):
    connection = connect()
    connection.execute("CREATE TABLE big (id INTEGER PRIMARY KEY, body BLOB)")
    blob = os.urandom(1 << 20)
    for number in range(4):
        connection.execute("INSERT INTO big VALUES (?, ?)", (number, blob))
    connection.commit()
    got = connect().execute("SELECT id, body FROM big ORDER BY id").fetchall()
    checks.equal([(row[0], len(row[1])) for row in got], [(n, 1 << 20) for n in range(4)], "large results are streamed")
    checks.true(all(row[1] == blob for row in got), "large values are as they were written")


def two_writers(checks):
    first, second = connect(), connect()
    first.execute("INSERT INTO calls (who, seconds) VALUES ('first', 1)")
    first.commit()
    second.execute("INSERT INTO calls (who, seconds) VALUES ('second', 2)")
    second.commit()
    for number in range(20):
        writer = (first, second)[number % 2]
        writer.execute("UPDATE calls SET seconds = seconds + 1 WHERE who = 'ann'")
        writer.commit()
    checks.equal(one(first, "SELECT seconds FROM calls WHERE who = 'ann'"), (31,), "two connections write in turn")


if __name__ == "__main__":
    Checks("libsql").run(schema, types, transactions, errors, bulk, scripts, large, two_writers)
