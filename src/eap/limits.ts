/** What a conversation may take. The RFCs fix none of these. */

/**
 * Packets that one side takes in within a conversation. EAP-TLS with a long chain in fragments of 1 KB takes about fifty; a peer that
 * needs more goes in circles.
 */
export const MOST_PACKETS = 100;

/** Octets of an identity. A user name has 253 at most (RFC 7542 section 2.3). */
export const LONGEST_IDENTITY = 253;
