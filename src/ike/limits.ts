/** What the RFCs fix. */
export const RFC_LIMITS = {
  /** RFC 7296 section 2.10. */
  nonceLengthMin: 16,
  nonceLengthMax: 256,
  /** RFC 7296 section 2.6. */
  cookieLengthMax: 64,
  /** RFC 7296 section 3.1: message IDs are 32 bits and never wrap (section 2.2). */
  messageIdMax: 0xffff_ffff,
} as const;

/** What we chose. Lengths are octets, times milliseconds. */
export interface Limits {
  /** The first repetition comes after this long: a few round trips of a slow path. */
  readonly retransmitFirstMs: number;
  /** Each wait is this much longer than the one before (RFC 7296 section 2.4 asks for exponential growth). */
  readonly retransmitFactor: number;
  /** No single wait is longer, so that a path that heals is noticed. */
  readonly retransmitMaxMs: number;
  /** Random share added to each wait, so that peers that lost the same link do not answer in step. */
  readonly retransmitJitter: number;
  /** How often a request is sent in all. With the figures above we give up after 75 to 85 seconds. */
  readonly transmissionCount: number;

  /** TCP is tried beside UDP once so many transmissions of a request have gone out (RFC 9329 sections 5.1 and 7.1): three seconds. */
  readonly tcpAfterTransmissions: number;
  /** Where TCP was answered and UDP was not, the next attempt within this time begins with both. */
  readonly tcpRecallMs: number;
  /** In TCP, UDP is asked about after this, and where it has fallen silent again and again after twice that each time, up to a limit. */
  readonly udpRetryMs: number;
  readonly udpRetryMaxMs: number;
  /** A TCP connection that breaks is opened again at once, the next one after this, then after twice that, up to a limit. */
  readonly streamRetryMs: number;
  readonly streamRetryMaxMs: number;
  /** For so long, where the policy says nothing: as long as a request is repeated that nobody answers. */
  readonly streamPatienceMs: number;

  /** An unprotected error may be forged: a real answer has this long to arrive before we believe it (RFC 7296 section 2.21.1). */
  readonly hintGraceMs: number;
  /** COOKIE and INVALID_KE_PAYLOAD answers that one attempt obeys; four covers cookie, group, cookie again and one to spare. */
  readonly initRestartCount: number;

  /** A responder's SA must be authenticated by then. Longer than the peer's first four repetitions. */
  readonly halfOpenTimeoutMs: number;
  /** The same for a peer that logs in by EAP: somebody may have to be asked for a second factor. It holds for both sides. */
  readonly eapTimeoutMs: number;
  /** EAP packets of the peer in one login. EAP-TLS with long chains takes some fifty. */
  readonly eapRoundCount: number;
  /** Signatures, chains and EAP packets that are being worked on. Beyond that an IKE_AUTH request is dropped, and comes again. */
  readonly loginCount: number;
  /** Octets of what is kept of the first IKE_AUTH request while its sender logs in: SA, TSi, TSr, CP and notifications. */
  readonly firstRequestLength: number;
  /** Certificates that we look at in one IKE_AUTH. */
  readonly certificateCount: number;
  /** Authorities that we name in a CERTREQ in IKE_AUTH; with more we name none, which is to say any. */
  readonly authorityCount: number;
  /** The same in the answer to an IKE_SA_INIT, which goes to anybody, in one datagram, and should not be much longer than the request. */
  readonly initAuthorityCount: number;
  /** From so many half-open SAs on, whoever asks must show a cookie. */
  readonly cookieThresholdCount: number;
  /** The same for one address, counting peers that never showed a cookie. */
  readonly cookieThresholdPerAddressCount: number;
  /** Requests in a second that are looked into without a cookie: each may cost half a millisecond, a cookie a hundredth of that. */
  readonly cookielessPerSecond: number;
  /** Half-open SAs of peers that showed a cookie: from one address, from one /24 or /56 (RFC 8019 section 4.4), in all. */
  readonly halfOpenPerAddressCount: number;
  readonly halfOpenPerPrefixCount: number;
  readonly halfOpenCount: number;
  /**
   * Attempts in a second of peers whose /24 or /56 has seen one fail of late, all together. Who guesses at passwords from many places gets
   * no more of our time than this, and waits for it; each attempt costs some two milliseconds.
   */
  readonly suspectsPerSecond: number;
  /** SAs of peers that were refused or gave up, and whose last answer is kept; some KB each. */
  readonly failedCount: number;
  /** A cookie is good for one to two of these. */
  readonly cookieSecretLifetimeMs: number;
  /** Unprotected errors that we send in a second; the rest is dropped, so that we are no amplifier. */
  readonly unprotectedErrorsPerSecond: number;
  /**
   * The same for what belongs to no SA of ours: when we were started again, each of our peers has to be told twice, of its ESP and of its IKE
   * SA, and none of these is much longer than what it answers.
   */
  readonly strayAnswersPerSecond: number;
  /** Dropped datagrams that become an event in a second; all are counted. */
  readonly dropEventsPerSecond: number;
  /** Events in a second about peers that nobody has authenticated. A log takes far fewer, and counts what it leaves out. */
  readonly unverifiedEventsPerSecond: number;

  /** IKE messages above this length go out in fragments: 1280 less IPv6, UDP and the non-ESP marker (RFC 7383 section 2.5.1). */
  readonly fragmentLength: number;
  /** Fragments of one message. 64 of ours hold 75 KB, more than any message needs. */
  readonly fragmentCount: number;
  /** Plaintext of one message that is being put together, and of all of them. Only authentic fragments are kept. */
  readonly reassemblyLength: number;
  readonly reassemblyTotalLength: number;
  /**
   * How long fragments are kept after the last that was new: longer than any wait between two transmissions of ours, so that a
   * repetition, which is all fragments again (RFC 7383 section 2.6.1), makes up for what the one before has lost.
   */
  readonly reassemblyTimeoutMs: number;

  /** A closed SA answers a repeated last request for this long, and so many times, without keys. */
  readonly lingerMs: number;
  readonly lingerAnswerCount: number;
  /** Redirects that a connection follows within the period: MAX_REDIRECTS and REDIRECT_LOOP_DETECT_PERIOD of RFC 5685 section 7. */
  readonly redirectCount: number;
  readonly redirectPeriodMs: number;
  /** First requests that are answered with a redirect in a second. */
  readonly redirectAnswersPerSecond: number;
  /** Clients that are told to go elsewhere in a second: the other gateway has to take them all. */
  readonly sentAwayPerSecond: number;
  /** A client that went elsewhere in IKE_AUTH deletes what is left here, or it is forgotten after this. */
  readonly sentAwayLingerMs: number;
  /** Silence after which an established SA asks whether the peer is alive. */
  readonly livenessMs: number;
  /** The same when packets go out and nothing comes back: longer than any round trip, shorter than a person's patience. */
  readonly unansweredMs: number;
  /** What anybody could have sent makes us ask once in this time. */
  readonly hintIntervalMs: number;
  /** Unprotected INVALID_SPI messages that are looked into in a second. */
  readonly hintsPerSecond: number;
  /**
   * Repetitions, from the first again, of a request that was answered with INVALID_IKE_SPI, before we believe the silence: six
   * seconds. A forger has to see our messages, and a peer that has the SA answers in this time.
   */
  readonly doubtedTransmissionCount: number;
  /** Addresses of a peer that we know of, and of ours that we tell it (RFC 4555 section 6: many would be an attack). */
  readonly peerAddressCount: number;
  /** Other paths that a request goes along as well, others each time, from this transmission on: two seconds without an answer. */
  readonly pathCount: number;
  readonly testingTransmissionCount: number;
  /** Child SAs in a second that we look into because their ESP comes from elsewhere: each may cost an exchange. */
  readonly seenElsewherePerSecond: number;
  /** One IKE SA asks for its peer elsewhere at most once in this time. */
  readonly seenElsewhereMs: number;
  /** The path is probed for the first time, and after it has moved, after a half to one and a half of this. */
  readonly probeFirstMs: number;
  /** Then again after this, less up to `probeJitter` of it (RFC 8899 section 5.1.1: PMTU_RAISE_TIMER). */
  readonly probeIntervalMs: number;
  readonly probeJitter: number;
  /** A probe that finds the peer busy waits for this long. */
  readonly probeRetryMs: number;
  /** A path that was probed within this time is not suspected of swallowing packets. */
  readonly probeSuspicionMs: number;
  /** How often a probe goes out with its filler: half a second and nine tenths, in which nothing else may have its place in the window. */
  readonly probeTransmissionCount: number;
  /** On a slow path each of these takes two round trips, and no longer than this. */
  readonly probeWaitMaxMs: number;
  /** Behind a NAT something goes out at least so often (RFC 3948 section 4). */
  readonly keepaliveMs: number;
  /** Soft lifetimes where the policy says nothing: the SA is rekeyed after this, less up to `rekeyJitter` of it. */
  readonly childRekeyMs: number;
  readonly ikeRekeyMs: number;
  readonly rekeyJitter: number;
  /**
   * Of clients under a connection that many share, where the policy says nothing: most rekey within an hour or eight, Apple's profiles within
   * a day. This is when one that does not loses its child SAs, and when we rekey the IKE SA, behind all of them also with `rekeyJitter`
   * taken off.
   */
  readonly clientChildMs: number;
  readonly clientIkeRekeyMs: number;
  /** A hard lifetime is longer than the soft one by a tenth and at least by this: time enough for a request to be given up. */
  readonly expiryMarginMs: number;
  /** An attempt that failed comes again after one to two of these (RFC 7296 section 2.25 asks for a wait), the next after twice that. */
  readonly rekeyRetryMs: number;
  /** The wait between attempts to rekey grows no further: several more fit between soft and hard lifetime. */
  readonly rekeyRetryMaxMs: number;
  /** The same for a child SA that the peer does not make: its configuration may be changed, but not every minute. */
  readonly createRetryMaxMs: number;
  /** What could not be rekeyed is set up anew so long before its hard lifetime: time for IKE_SA_INIT and IKE_AUTH on a bad path. */
  readonly renewalMarginMs: number;
  /** A responder that believes us for less (RFC 4478) has us authenticate as if it were this long. */
  readonly authLifetimeLeastMs: number;
  /** How often an IKE_SESSION_RESUME is sent: after six seconds of silence it is an IKE_SA_INIT that waits for the peer to come back. */
  readonly resumptionTransmissionCount: number;
  /** How long a ticket is good where it cannot be told on its return whether its holder may still come. */
  readonly uncheckedTicketMs: number;
  /** A gateway that has no ticket yet is asked again after this. */
  readonly ticketRetryMs: number;
  /** After that the old IKE SA stays for this long, until both sides send through the new one. */
  readonly renewedLingerMs: number;
  /** A replaced SA that the peer should delete is deleted by us after this: longer than it repeats its request. */
  readonly replacedTimeoutMs: number;
  /** A replaced inbound SA opens what was late on the way for this long. */
  readonly inboundLingerMs: number;
  /**
   * Requests of the peer that we take at a time, once it is authenticated (SET_WINDOW_SIZE): children come up and are replaced
   * side by side, and each place may cost a kept answer of a few KB and a key exchange.
   */
  readonly windowSize: number;
  /** Requests that we send at a time, however many the peer would take: more never wait together. */
  readonly peerWindowSizeMax: number;
  /** Requests that wait for the window of one SA. */
  readonly queuedRequestCount: number;
  /** Child SAs that one IKE SA carries. */
  readonly childSaCount: number;
  /**
   * CREATE_CHILD_SA requests in a second that we look into for one peer: all child SAs of an IKE SA may be rekeyed at once, and
   * the fastest client known rekeys one every two seconds. Each may cost a key exchange.
   */
  readonly peerCreationsPerSecond: number;
  /**
   * What a peer has begun in CREATE_CHILD_SA and goes on with in IKE_FOLLOWUP_KE, so many at a time: all child SAs of an IKE SA may be
   * rekeyed at once. Each keeps a shared secret and what was agreed on, and may cost up to seven key exchanges more.
   */
  readonly pendingExchangeCount: number;
  /** How long the peer may take between two of these: RFC 9370 section 2.2.4 suggests 5 to 20 seconds, and a slow group takes its time on a bad path. */
  readonly pendingExchangeMs: number;
  /** Octets that a peer may have us send back to it in ADDITIONAL_KEY_EXCHANGE. */
  readonly linkLength: number;
  /** Attempts in a row that the peer has answered with STATE_NOT_FOUND: then the IKE SA is deleted (RFC 9370 section 2.2.4). */
  readonly stateNotFoundCount: number;
  /** IKE SAs of one connection: one, another that crossed it or renews it, and some of a peer that was restarted. */
  readonly ikeSaCount: number;
  /** IKE SAs of one account, where many share a connection: some devices, each twice while it comes anew. */
  readonly accountIkeSaCount: number;
  readonly accountIkeSaRemainsCount: number;
  /** Octets of what a peer calls itself. A distinguished name takes some hundred. */
  readonly identityLength: number;
  /** IKE SAs of one connection that are being deleted or only answer what comes again. */
  readonly ikeSaRemainsCount: number;
}

export const DEFAULT_LIMITS: Limits = {
  retransmitFirstMs: 500,
  retransmitFactor: 1.8,
  retransmitMaxMs: 20_000,
  retransmitJitter: 0.1,
  transmissionCount: 9,

  tcpAfterTransmissions: 4,
  tcpRecallMs: 600_000,
  udpRetryMs: 60_000,
  udpRetryMaxMs: 600_000,
  streamRetryMs: 250,
  streamRetryMaxMs: 5_000,
  streamPatienceMs: 80_000,

  hintGraceMs: 1_000,
  initRestartCount: 4,

  halfOpenTimeoutMs: 30_000,
  eapTimeoutMs: 90_000,
  eapRoundCount: 100,
  loginCount: 256,
  firstRequestLength: 8_192,
  certificateCount: 16,
  authorityCount: 64,
  initAuthorityCount: 4,
  cookieThresholdCount: 32,
  cookieThresholdPerAddressCount: 4,
  cookielessPerSecond: 100,
  halfOpenPerAddressCount: 64,
  halfOpenPerPrefixCount: 256,
  halfOpenCount: 1_024,
  suspectsPerSecond: 200,
  failedCount: 1_024,
  cookieSecretLifetimeMs: 60_000,
  unprotectedErrorsPerSecond: 50,
  strayAnswersPerSecond: 200,
  dropEventsPerSecond: 10,
  unverifiedEventsPerSecond: 1_000,

  fragmentLength: 1_228,
  fragmentCount: 64,
  reassemblyLength: 65_536,
  reassemblyTotalLength: 1_048_576,
  reassemblyTimeoutMs: 25_000,

  lingerMs: 30_000,
  lingerAnswerCount: 16,
  redirectCount: 5,
  redirectPeriodMs: 300_000,
  redirectAnswersPerSecond: 200,
  sentAwayPerSecond: 50,
  sentAwayLingerMs: 10_000,
  livenessMs: 60_000,
  unansweredMs: 10_000,
  hintIntervalMs: 10_000,
  hintsPerSecond: 100,
  doubtedTransmissionCount: 3,
  peerAddressCount: 8,
  pathCount: 8,
  testingTransmissionCount: 3,
  seenElsewherePerSecond: 100,
  seenElsewhereMs: 400,
  probeFirstMs: 1_000,
  probeIntervalMs: 600_000,
  probeJitter: 0.1,
  probeRetryMs: 1_000,
  probeSuspicionMs: 60_000,
  probeTransmissionCount: 2,
  probeWaitMaxMs: 4_000,
  keepaliveMs: 20_000,
  childRekeyMs: 3_600_000,
  ikeRekeyMs: 14_400_000,
  rekeyJitter: 0.1,
  clientChildMs: 100_800_000,
  clientIkeRekeyMs: 100_800_000,
  expiryMarginMs: 100_000,
  rekeyRetryMs: 1_000,
  rekeyRetryMaxMs: 30_000,
  createRetryMaxMs: 300_000,
  renewalMarginMs: 50_000,
  authLifetimeLeastMs: 10_000,
  resumptionTransmissionCount: 4,
  uncheckedTicketMs: 3_600_000,
  ticketRetryMs: 60_000,
  renewedLingerMs: 5_000,
  replacedTimeoutMs: 90_000,
  inboundLingerMs: 5_000,
  windowSize: 4,
  peerWindowSizeMax: 8,
  queuedRequestCount: 16,
  childSaCount: 16,
  peerCreationsPerSecond: 32,
  pendingExchangeCount: 16,
  pendingExchangeMs: 20_000,
  linkLength: 1_024,
  stateNotFoundCount: 5,
  ikeSaCount: 4,
  ikeSaRemainsCount: 16,
  accountIkeSaCount: 16,
  accountIkeSaRemainsCount: 64,
  identityLength: 1_024,
};
