import { randomBytes } from "node:crypto";

/** A source of random octets: the system's, or a seeded one in the simulator. */
export interface Random {
  bytes(length: number): Uint8Array;
}

/** Random octets of the operating system. */
export const systemRandom: Random = {
  bytes: (length) => new Uint8Array(randomBytes(length)),
};
