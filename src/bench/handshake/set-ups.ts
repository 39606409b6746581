import type { Peer } from "./peers.ts";

/** What became of the set-ups of one phase. */
export interface Tally {
  /** From the first IKE_SA_INIT to the child SA, each in milliseconds. */
  readonly setUpMs: number[];
  /** IKE SAs that were set up and deleted again. */
  count: number;
  /** Datagrams that were sent; undefined where nobody counts them. */
  datagrams: number | undefined;
  /** Why a set-up failed, in the words of the first. */
  failure: string | undefined;
}

/** Those who call: each peer sets up an IKE SA with a child SA, deletes it as soon as it stands, and begins anew, or stays. */
export interface SetUps {
  /** Connects these, some at a time, and settles when all are: they stay. */
  connect(peers: readonly Peer[]): Promise<Tally>;
  /** Lets the peers come and go for some time, and settles when the last is gone. */
  run(peers: readonly Peer[], ms: number): Promise<Tally>;
  /** Deletes the IKE SAs of those who stay, and settles when the last is gone. */
  disconnect(): Promise<void>;
  close(): Promise<void>;
}

/** Of those that connect and stay. */
export const AT_A_TIME = 16;
