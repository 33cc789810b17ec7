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
      "account set acme --home eu --survive none --residency eu,us --timezone Europe/Kyiv --json",
      "account list", "account show acme --json", "account delete acme --yes", "key create --account acme --label app",
      "key list --account acme", "key revoke --account acme KM123",
      "key recovery --account acme --recipient age1x --out F",
      "key recovery --account acme --passphrase-file P --out F",
      "import --account acme --database F.sqlite --recordings D",
      "import --account acme --database F --skip a --skip b", "snapshot create --account acme",
      "snapshot list --account acme",
      "snapshot show --account acme ID", "snapshot verify --account acme", "snapshot verify --account acme ID",
      "snapshot verify --account acme --all --decode --json", "verify a --key-file X --decode",
      "restore --account acme --snapshot ID --as new", "restore --account acme --latest --as new --dry-run",
      "restore --account acme --at now --in-place --yes", "restore --account acme --latest --in-place --dry-run",
      "restore undo JOB", "restore undo JOB --dry-run --account acme --json", "restore undo JOB --yes",
      "restore --offline --archive D --recovery F --identity K --out O",
      "restore --offline --archive D --recovery F --passphrase-file P --expect 1.2 --out O", "verify a b --json",
      "diff --account acme ID", "diff --account acme ID live --json", "diff --account acme ID ID --rows --limit 10000",
      "keys rotate --config F", "doctor", "account list --url https://h:1 --token t --ca F",
      "account list --token-file -",
      "dev --nodes 3 --regions eu,us,ap", "dev --nodes 5 --regions eu,us --port 7400", "dev --nodes 32 --port 7400",
      "dev --nodes 1 --port 65531", "dev --regions eu",
    ])
  func taken(_ line: String) throws {
    _ = try Komora.parseAsRoot(line.split(separator: " ").map(String.init))
  }

  @Test(
    "the commands of a cluster are taken",
    arguments: [
      "cluster init --config F", "cluster init --config F --json", "cluster init --config F --kit K --identity I",
      "cluster init --config F --kit K --passphrase-file -", "cluster invite --name eu-2 --region eu",
      "cluster invite --name eu-2 --region eu --issuer --out T --json", "cluster join --config F --token-file T",
      "cluster join --config F --token-file -", "cluster join --config F --token kj_x --json", "cluster status",
      "cluster status --watch --interval 0.5", "cluster status --json --url https://h:1", "cluster drain eu-1",
      "cluster undrain eu-1 --json", "cluster remove eu-1", "cluster remove eu-1 --accept-loss",
      "cluster what-if --lose eu-1", "cluster what-if --lose eu-1 --lose region=us --json", "cluster rotate-keys",
      "cluster renew-certificates --json", "cluster client --out D --days 7 --json",
      "cluster recovery-kit --recipient age1x --out K",
      "cluster recovery-kit --passphrase-file P --out K",
    ])
  func clusterTaken(_ line: String) throws {
    _ = try Komora.parseAsRoot(line.split(separator: " ").map(String.init))
  }

  @Test(
    "wrong use of a cluster's commands is refused before anything is done",
    arguments: [
      "cluster frobnicate", "cluster init", "cluster init --config F --kit K",
      "cluster init --config F --identity I", "cluster init --config F --kit K --identity I --passphrase-file P",
      "cluster invite --name eu-2", "cluster invite --region eu", "cluster join --config F",
      "cluster join --token-file T", "cluster join --config F --token kj_x --token-file T",
      "cluster status --interval 0", "cluster status --interval x", "cluster drain", "cluster undrain",
      "cluster remove", "cluster what-if", "cluster what-if eu-1", "cluster recovery-kit --out K",
      "cluster recovery-kit --recipient a --passphrase-file P --out K", "cluster recovery-kit --recipient a",
      "dev --nodes 0", "dev --nodes 33", "dev --nodes x", "dev --nodes 2 --port 65531", "dev --regions eu,",
      "dev --regions EU", "dev --regions e.u",
    ])
  func clusterRefused(_ line: String) {
    #expect(throws: (any Error).self) { try Komora.parseAsRoot(line.split(separator: " ").map(String.init)) }
  }

  @Test(
    "wrong use is refused before anything is done",
    arguments: [
      "frobnicate", "dev --port 0", "dev --port 65534", "dev --port x", "node run", "account create",
      "account set acme", "account set --home eu", "key create",
      "key recovery --account acme --out F", "key recovery --account acme --recipient a --passphrase-file b --out F",
      "import --account acme", "restore --account acme --as new",
      "restore --account acme --latest --snapshot ID --as new",
      "restore --account acme --latest --as new --in-place", "restore --account acme --in-place", "restore undo",
      "restore redo JOB", "restore undo JOB --latest",
      "restore --account acme --latest", "restore --offline --archive D --recovery F --out O",
      "restore --offline --archive D --recovery F --identity K --passphrase-file P --out O",
      "restore --offline --archive D --recovery F --identity K --out O --account acme", "verify",
      "diff ID", "diff --account acme", "diff --account acme ID ID ID", "diff --account acme ID --rows --limit 0",
      "verify a --recovery F", "verify a --recovery F --identity K --key-file X", "verify a --decode",
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
