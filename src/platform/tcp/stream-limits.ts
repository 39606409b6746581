/** What we chose for TCP connections. Lengths are octets, times milliseconds. */
export interface StreamLimits {
  /** Connections that others have opened and that no IKE SA of a peer we know uses: in all, and from one address. */
  readonly strangerCount: number;
  readonly strangersPerAddressCount: number;
  /** All connections. */
  readonly count: number;
  /** How often it is looked whose time is over. */
  readonly lookMs: number;
  /** The prefix has to be there by then, and something that an IKE SA comes of. */
  readonly prefixMs: number;
  readonly firstMessageMs: number;
  /** Whoever has an IKE SA under way has this long: longer than the IKE machine gives a login. */
  readonly strangerMs: number;
  /** What a stranger may send in all, and IKE messages in it. */
  readonly strangerLength: number;
  readonly strangerMessageCount: number;
  /** IKE messages of one connection between two looks. Those beyond are lost. */
  readonly messagesPerLook: number;
  /** A connection that no IKE SA uses any more is closed after this: the peer may still have to read our last answer. */
  readonly unusedMs: number;
  /** Octets that wait to be sent beyond what the kernel holds: with more, ESP packets are lost, as they would be in a full queue of a router. */
  readonly sendQueueLength: number;
  /** The same for IKE messages, which come seldom, and which nobody sends again as long as the connection stands. */
  readonly ikeQueueLength: number;
}

export const DEFAULT_STREAM_LIMITS: StreamLimits = {
  strangerCount: 256,
  strangersPerAddressCount: 32,
  count: 8_192,
  lookMs: 1_000,
  prefixMs: 5_000,
  firstMessageMs: 10_000,
  strangerMs: 100_000,
  strangerLength: 1_048_576,
  strangerMessageCount: 512,
  messagesPerLook: 500,
  unusedMs: 5_000,
  sendQueueLength: 131_072,
  ikeQueueLength: 1_048_576,
};
