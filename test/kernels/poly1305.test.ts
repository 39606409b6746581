import { readFile } from "node:fs/promises";
import asc from "assemblyscript/asc";
import { beforeAll, describe, expect, test } from "vitest";
import { fromHex } from "../../src/bytes/hex.ts";
import { SeededRandom } from "../support/kernel.ts";
import { clamp, P, referencePoly1305, toBlock, toNumber } from "../support/poly1305.ts";
import { POLY1305_VECTORS } from "../vectors/rfc8439/poly1305.ts";

// In the AEAD r and s come out of ChaCha20 and cannot be chosen. Here assembly/poly1305.ts is compiled by itself, with a
// door to it that the product does not have.
const DOOR = `
  import {
    macAbsorb, macFinish, macStart, MAC_FROM_OFFSET, MAC_HIGH_BIT, MAC_HIGH_OFFSET, MAC_KEY_OFFSET, MAC_LANE_SIZE,
    MAC_LANES_OFFSET, MAC_STEP_OFFSET, MAC_TAGS_OFFSET,
  } from "./assembly/poly1305";

  export function authenticate(mac: usize, keys: usize, messages: usize, blocks: u32): usize {
    for (let lane: u32 = 0; lane < 4; lane++) {
      const record = mac + MAC_LANES_OFFSET + lane * MAC_LANE_SIZE;
      store<u32>(record, keys + lane * 32, MAC_KEY_OFFSET);
      store<u32>(record, messages + lane * blocks * 16, MAC_FROM_OFFSET);
      store<u32>(record, 16, MAC_STEP_OFFSET);
      store<u32>(mac + lane * 4, MAC_HIGH_BIT, MAC_HIGH_OFFSET);
    }
    macStart(mac);
    macAbsorb(mac, blocks);
    macFinish(mac);
    return mac + MAC_TAGS_OFFSET;
  }
`;

interface Case {
  readonly r: bigint;
  readonly s: bigint;
  readonly message: Uint8Array;
}

let authenticate: (cases: readonly Case[]) => readonly bigint[];

beforeAll(async () => {
  authenticate = await openDoor();
}, 60_000);

describe("Poly1305", () => {
  test.each(POLY1305_VECTORS)("gives the tag of $source in every lane", (vector) => {
    const known = {
      r: toNumber(fromHex(vector.r)),
      s: toNumber(fromHex(vector.s)),
      message: fromHex(vector.message),
    };
    const other = { r: 2n ** 128n - 1n, s: 7n, message: new Uint8Array(known.message.length).fill(0xa5) };
    for (let lane = 0; lane < 4; lane++) {
      const lanes = Array.from({ length: 4 }, (_, i) => (i === lane ? known : other));
      expect(authenticate(lanes)[lane]).toBe(toNumber(fromHex(vector.tag)));
    }
  });

  test("carries right when limbs of r, of s and of the message are at their ends", () => {
    const random = new SeededRandom(1);
    const oneCase = (blocks: number): Case => ({
      r: extreme(random),
      s: extreme(random),
      message: Buffer.concat(Array.from({ length: blocks }, () => toBlock(extreme(random)))),
    });
    for (let run = 0; run < RUNS; run++) {
      const blocks = 1 + random.below(run % 50 === 0 ? 600 : 12);
      expectAgreement(Array.from({ length: 4 }, () => oneCase(blocks)));
    }
  });

  test("reduces h when it ends just below, at or above p and 2^128", () => {
    // With the last block m, (h + m + 2^128) * r is brought to a chosen value.
    const random = new SeededRandom(2);
    const targets = [-8n, -6n, -5n, -4n, -2n, -1n, 0n, 1n, 4n, 5n, 6n].flatMap((near) => [
      (P + near) % P,
      (2n ** 128n + near) % P,
      (2n ** 129n + near) % P,
      (2n ** 117n + near) % P,
    ]);
    let hits = 0;
    for (const target of targets) {
      for (let attempt = 0; attempt < 20; attempt++) {
        const r = clamp(extreme(random) | 4n);
        const first = toBlock(extreme(random));
        const h = ((toNumber(first) + 2n ** 128n) * r) % P;
        const last = (target * inverse(r) - h - 2n ** 128n + 4n * P) % P;
        if (last >= 2n ** 128n) continue;
        hits++;
        const message = Buffer.concat([first, toBlock(last)]);
        expectAgreement([0n, 1n, 2n ** 64n - 1n, 2n ** 128n - 1n].map((s) => ({ r, s, message })));
      }
    }
    expect(hits).toBeGreaterThan(100);
  });
});

const RUNS = Number(process.env.IKEBANA_FUZZ_RUNS ?? 2000);

function expectAgreement(cases: readonly Case[]): void {
  const expected = cases.map(referencePoly1305);
  const tags = authenticate(cases);
  for (const [lane, tag] of tags.entries()) {
    if (tag !== expected[lane])
      expect.fail(`lane ${lane}: r ${cases[lane]!.r.toString(16)}, ${cases[lane]!.message.length} octets`);
  }
}

/** 128 bits made of pieces that are all zeros, all ones, a single bit or random. */
function extreme(random: SeededRandom): bigint {
  let number = 0n;
  for (let width = 0; width < 128; ) {
    const piece = 1 + random.below(40);
    const kinds = [0n, 2n ** BigInt(piece) - 1n, 1n, BigInt(random.below(2 ** 31)) % 2n ** BigInt(piece)];
    number = (number << BigInt(piece)) | kinds[random.below(kinds.length)]!;
    width += piece;
  }
  return number % 2n ** 128n;
}

/** Modulo p, by Fermat. */
function inverse(number: bigint): bigint {
  let result = 1n;
  let power = number % P;
  for (let exponent = P - 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * power) % P;
    power = (power * power) % P;
  }
  return result;
}

async function openDoor(): Promise<typeof authenticate> {
  const written = new Map<string, Uint8Array | string>();
  const { error, stderr } = await asc.main(
    (
      "door.ts --outFile door.wasm -O3 --noAssert --runtime stub --enable simd --enable threads " +
      "--importMemory --sharedMemory --initialMemory 16 --maximumMemory 16"
    ).split(" "),
    {
      readFile: async (name) => {
        if (name === "door.ts") return DOOR;
        if (!name.startsWith("assembly/")) return null;
        return readFile(new URL(`../../${name}`, import.meta.url), "utf8").catch(() => null);
      },
      writeFile: async (name, contents) => {
        written.set(name, contents);
      },
    },
  );
  if (error !== null) throw new Error(`asc: ${stderr.toString()}`, { cause: error });
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
  const module = new WebAssembly.Module(written.get("door.wasm") as Uint8Array);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const tagsOf = exports.authenticate as (
    mac: number,
    keys: number,
    messages: number,
    blocks: number,
  ) => number;
  const octets = new Uint8Array(memory.buffer);
  const [MAC, KEYS, MESSAGES] = [65536, 66560, 67584];
  return (cases) => {
    const length = cases[0]!.message.length;
    for (const [lane, { r, s, message }] of cases.entries()) {
      octets.set(toBlock(r), KEYS + lane * 32);
      octets.set(toBlock(s), KEYS + lane * 32 + 16);
      octets.set(message, MESSAGES + lane * length);
    }
    const tags = tagsOf(MAC, KEYS, MESSAGES, length / 16);
    return cases.map((_, lane) => toNumber(octets.slice(tags + lane * 16, tags + lane * 16 + 16)));
  };
}
