// Whoever changes a live account in place is asked on a terminal, and says --yes elsewhere.

enum InPlaceConsent {
  static func ask(_ account: String, _ question: String, yes: Bool) throws(CommandFailure) {
    if yes { return }
    guard Terminal.isInteractive else {
      throw CommandFailure(
        .refused, "nothing was changed: give --yes to restore \(account) in place without being asked")
    }
    Terminal.draw("\(question) Type its name: ")
    guard readLine() == account else { throw CommandFailure(.refused, "nothing was changed: that is not its name") }
  }
}
