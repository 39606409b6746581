import { randomBytes, randomFillSync } from "node:crypto";

/** A source of random octets: the system's, or a seeded one in the simulator. */
export interface Random {
  bytes(length: number): Uint8Array;
}

/** Random octets of the operating system. */
export const systemRandom: Random = {
  bytes: (length) => (length <= FEW ? takeFew(length) : new Uint8Array(randomBytes(length))),
};

/** As many as an SPI has: no key is so short. */
const FEW = 8;

// Single octets by which timers are spread, and SPIs: each is drawn from here once, since a call for more takes as long.
const stock = new Uint8Array(512);
let drawn = stock.length;

function takeFew(length: number): Uint8Array {
  if (drawn + length > stock.length) {
    randomFillSync(stock);
    drawn = 0;
  }
  const few = stock.slice(drawn, drawn + length);
  stock.fill(0, drawn, drawn + length);
  drawn += length;
  return few;
}
