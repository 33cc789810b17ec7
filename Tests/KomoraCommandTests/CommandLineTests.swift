// The command line as the contract writes it: what is taken, what is wrong use, which exit code an answer becomes.

import ArgumentParser
import Testing
import komora

@Suite("command line")
struct CommandLineTests {
  @Test(
    "the commands of the contract are taken",
    arguments: [
      "dev", "dev --data D --port 7400 --no-respawn", "node run --config F", "node options --json",
      "account create acme --home eu --survive node --residency eu,us --timezone Europe/Kyiv --json",
      "account list", "account show acme --json", "account delete acme --yes", "key create --account acme --label app",
      "key list --account acme", "key revoke --account acme KM123",
      "key recovery --account acme --recipient age1x --out F",
      "key recovery --account acme --passphrase-file P --out F",
      "import --account acme --database F.sqlite --recordings D",
      "import --account acme --database F --skip a --skip b", "snapshot create --account acme",
      "snapshot list --account acme",
      "snapshot show --account acme ID", "snapshot verify --account acme", "snapshot verify --account acme ID",
      "restore --account acme --snapshot ID --as new", "restore --account acme --latest --as new --dry-run",
      "restore --offline --archive D --recovery F --identity K --out O",
      "restore --offline --archive D --recovery F --passphrase-file P --expect 1.2 --out O", "verify a b --json",
      "keys rotate --config F", "doctor", "account list --url https://h:1 --token t --ca F",
      "account list --token-file -",
    ])
  func taken(_ line: String) throws {
    _ = try Komora.parseAsRoot(line.split(separator: " ").map(String.init))
  }

  @Test(
    "wrong use is refused before anything is done",
    arguments: [
      "frobnicate", "dev --port 0", "dev --port 65534", "dev --port x", "node run", "account create", "key create",
      "key recovery --account acme --out F", "key recovery --account acme --recipient a --passphrase-file b --out F",
      "import --account acme", "restore --account acme --as new",
      "restore --account acme --latest --snapshot ID --as new",
      "restore --account acme --latest", "restore --offline --archive D --recovery F --out O",
      "restore --offline --archive D --recovery F --identity K --passphrase-file P --out O",
      "restore --offline --archive D --recovery F --identity K --out O --account acme", "verify",
      "verify a --recovery F", "verify a --recovery F --identity K --key-file X",
    ])
  func refused(_ line: String) {
    #expect(throws: (any Error).self) { try Komora.parseAsRoot(line.split(separator: " ").map(String.init)) }
  }

  @Test("statuses become the contract's exit codes")
  func exitCodes() {
    let expected: [(Int, Int32)] = [
      (400, 2), (401, 4), (403, 4), (404, 3), (409, 4), (413, 2), (422, 2), (423, 4), (429, 5), (500, 1), (503, 5),
    ]
    for (status, code) in expected { #expect(CommandFailure.kind(status: status).rawValue == code, "\(status)") }
  }
}
