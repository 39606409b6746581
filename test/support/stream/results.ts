/** Datagrams in a row that did not arrive. */
export interface LostRun {
  readonly first: number;
  readonly count: number;
  /** When the first of them was sent, in milliseconds since 1970: to be found in the logs. */
  readonly sentAt: number;
}

/** What became of a numbered stream. */
export interface FlowResult {
  readonly sent: number;
  /** Each number once. */
  readonly received: number;
  readonly lost: number;
  /** The sender's own kernel did not take them; they are among the lost. */
  readonly refused: number;
  readonly duplicates: number;
  /** Arrived with octets that are not those sent. */
  readonly damaged: number;
  /** Arrived behind a later number. */
  readonly overtaken: number;
  /** The shortest and the longest time on the way. */
  readonly leastMs: number;
  readonly mostMs: number;
  /** For how long the sender could not keep the pace, because the machine was busy. */
  readonly slippedMs: number;
  /** The first fifty. */
  readonly lostRuns: readonly LostRun[];
}
