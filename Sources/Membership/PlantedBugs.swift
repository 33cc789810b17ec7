// Errors that the simulation can tell the machine to make, so that its checkers prove that they would find them. Empty
// in every product; no checker can see them.

package struct PlantedBugs: OptionSet, Sendable {
  package let rawValue: Int
  package init(rawValue: Int) { self.rawValue = rawValue }
  /// An accused member says nothing.
  package static let skipRefutation = PlantedBugs(rawValue: 1)
  /// A restarted member goes on under the incarnation of its earlier life.
  package static let reuseIncarnation = PlantedBugs(rawValue: 2)
  /// A raised incarnation is used before it is durable.
  package static let useBeforePersisted = PlantedBugs(rawValue: 4)
  /// What was heard is told to nobody, and own words only once.
  package static let neverRetransmit = PlantedBugs(rawValue: 8)
  /// A full state from another member is thrown away.
  package static let dropMerge = PlantedBugs(rawValue: 16)
  /// An old word that a member lives beats its own that it left.
  package static let resurrectLeft = PlantedBugs(rawValue: 32)
  /// Nobody tries the dead again.
  package static let neverReconnect = PlantedBugs(rawValue: 64)
  /// A suspicion never ends.
  package static let suspectForever = PlantedBugs(rawValue: 128)
  /// An accuser names an incarnation that it made up.
  package static let inventIncarnation = PlantedBugs(rawValue: 256)
  /// As many updates as fit are sent every time, again and again.
  package static let gossipWithoutBound = PlantedBugs(rawValue: 512)
  /// Accusations by others shorten no suspicion.
  package static let ignoreConfirmations = PlantedBugs(rawValue: 1024)
  /// Reports of other members' health are thrown away.
  package static let ignoreHealth = PlantedBugs(rawValue: 2048)
  /// A death that another tells is believed before the member could object.
  package static let buryUnheard = PlantedBugs(rawValue: 4096)
}
