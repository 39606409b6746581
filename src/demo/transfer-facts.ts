import type { TransferFacts } from "./story.ts";

/** What one end of a transfer knows when it is over. */
export interface TransferEnd {
  readonly octets: number;
  /** From the first octet to the last. */
  readonly ms: number;
  /** SHA-256, in hex. */
  readonly hash: string;
}

/** Brings the two ends together. The rate is the receiver's. */
export function transferFacts(
  protocol: TransferFacts["protocol"],
  { sent, received }: { readonly sent: TransferEnd; readonly received: TransferEnd },
): TransferFacts {
  return {
    protocol,
    sentOctets: sent.octets,
    receivedOctets: received.octets,
    ms: received.ms,
    bitsPerSecond: received.ms > 0 ? (received.octets * 8000) / received.ms : 0,
    sentHash: sent.hash,
    receivedHash: received.hash,
    isIntact: sent.octets === received.octets && sent.hash === received.hash,
  };
}
