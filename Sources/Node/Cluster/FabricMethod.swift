// What one node asks another, by number. Numbers are never used twice, so that neighbouring releases talk.

enum FabricMethod: UInt16 {
  /// Both sides' full state of the membership.
  case pushPull = 1
  /// Microseconds since 1970 on the answerer's clock, 8 bytes.
  case clock = 2
  /// A certificate request for the asker's own identity; the issuer's answer is the certificate.
  case renew = 3
  /// Position and standing of an account that the answerer holds.
  case account = 4
  /// To make an account on the answerer. 7 was for deleting one.
  case createAccount = 6
  /// To start a member of the control store.
  case controlMember = 5
  /// A client's request, for the node that leads its account; a channel.
  case forward = 8
  /// Account requests of a program that has a certificate of the role client; a channel.
  case accountRequests = 9
  /// Lines between shards: beats and votes, and records with what answers them.
  case shardBeats = 10
  case shardRecords = 11
  /// Bulk: an account's base, by its id, for a node that is to have a replica.
  case shardBase = 12
  /// Bulk: one recording with its key, by the ids of account and recording.
  case shardRecording = 13
  /// Of a shard's primary: how far its replicas lag, by the account's id; and a change of voters or a hand-over.
  case shardLags = 14
  case shardWish = 15
  /// Of a node that has no certificate yet, with an invitation.
  case join = 0xffff
}
