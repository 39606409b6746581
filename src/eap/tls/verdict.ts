/** What is thought of the peer's certificates. `reason` is for the log. */
type PeerVerdict =
  | { readonly kind: "trusted"; readonly identity: string }
  | { readonly kind: "refused"; readonly reason: string };

/** Judges a chain as the peer sent it: DER, its own certificate first. */
export type JudgePeer = (chain: readonly Uint8Array[]) => PeerVerdict | Promise<PeerVerdict>;
