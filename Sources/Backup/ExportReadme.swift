// The texts in an export for people who have never heard of Komora: what lies where, how values are written, how to
// check all of it, and a program that does so.

import Base

enum ExportReadme {
  static func text(_ order: ExportOrder, position: Position) -> String {
    let period =
      order.from == nil && order.to == nil
      ? "all"
      : "from \(order.from.map(RFC3339.text) ?? "the first") to before \(order.to.map(RFC3339.text) ?? "now")"
    let chain = order.previous.map { "; only those that export \($0) and the ones before it do not hold" } ?? ""
    let audio =
      order.asFLAC
      ? "; plain WAV files as FLAC (path …~.flac,\n                          audio flac): `flac -d` gives the very same bytes back"
      : ""
    return """
      Export \(order.export) of the account \(order.accountName)
      Made \(RFC3339.text(order.createdAt)) at position \(position): everything below is of that one moment.
      Recordings: \(period)\(chain). The database is always whole.

      account.sqlite      the database; open it with sqlite3 (https://sqlite.org)
      tables/             each table as CSV
      recordings/         the recordings, byte for byte as they were uploaded\(audio)
      recordings.csv      which key lies under which path, with size, MD5, SHA-256 (of what was uploaded), time (UTC), type
      recordings.jsonl    the same, a JSON object a line
      manifest.json       what this export is, with every file's size and SHA-256, and a signature
      SHA256SUMS          the same sums for `sha256sum -c SHA256SUMS`
      verify.py           checks everything: `python3 verify.py`

      CSV (RFC 4180, UTF-8, lines end in CR LF, the first line has the columns)
        NULL        \\N without quotes
        integers    digits without quotes; real numbers too (9e999 and -9e999 are the infinities)
        text        in quotes; text that begins with a backslash has one more in front of it
        blobs       \\x and hexadecimal digits, without quotes
      So a value that begins with one backslash is NULL or a blob, whether or not a program keeps the quotes. Text that
      is not UTF-8 has U+FFFD in place of what is not; the database has the original bytes. Tables of extensions (such
      as full-text indexes) are in the database only.

      Names of files: bytes below space, DEL and % \\ : ~ in a key become %XX, as do parts that are "." or ".."; an
      empty part is %; a part over 200 bytes is cut and ends in ~ and a hash; a key that is also the beginning of other
      keys ends in ~. Names of tables are escaped alike, a slash in them too.

      The root in manifest.json: take the files of its list in their order. The leaf of a file is the text
        <SHA-256 in hexadecimal digits> <bytes> <path>
      and the root is the Merkle tree hash of the leaves by RFC 6962, section 2.1: a leaf is SHA-256(0x00, leaf), a node
      is SHA-256(0x01, left, right), and the left part of n leaves has the largest power of two that is less than n.

      The signature is Ed25519 (RFC 8032) by the account's own key, over these lines with the values of manifest.json
      and a line feed at the end of each, "-" for null:
        komora-export 1
        account …, account_id …, export …, position …, created_at …, from …, to …, previous …, previous_root …,
        recordings …, recording_bytes …, files …, bytes …, root …
      (each its own line: the name, a space, the value). That public_key is your account's, compare with
      `komora export show`, or with an earlier export: `python3 verify.py --public-key HEX`.

      """
  }
}
