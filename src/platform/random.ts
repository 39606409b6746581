/** A source of random octets: the system's, or a seeded one in the simulator. */
export interface Random {
  bytes(length: number): Uint8Array;
}
