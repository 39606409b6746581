import type { Transform } from "./transform.ts";

/**
 * Proposal substructure, RFC 7296 section 3.3.1.
 *
 *   Last (1) | reserved (1) | Proposal Length (2) | Proposal Num (1) | Protocol ID (1) | SPI Size (1) | Num Transforms (1) | SPI | Transforms
 */
export interface Proposal {
  readonly number: number;
  readonly protocolId: number;
  /** 0 octets in IKE_SA_INIT, 8 when an IKE SA is rekeyed, 4 for ESP. */
  readonly spi: Uint8Array;
  readonly transforms: readonly Transform[];
}
