import type { LentAes } from "../../src/platform/native-ciphers/lent-ciphers.ts";
import { openProcessorAes } from "../../src/platform/native-ciphers/openssl-aes.ts";

/**
 * Whether tests of AES that is lent may run. When the machine has none, says so in one line, or fails where IKEBANA_REQUIRE_INTEROP=1
 * promises that nothing is skipped.
 */
export function requireProcessorAes(what: string): boolean {
  const aes = openProcessorAes({ buffer: new SharedArrayBuffer(64) });
  aes?.close();
  if (aes !== undefined) return true;
  const message = `${what} (needs a processor with AES instructions)`;
  if (process.env.IKEBANA_REQUIRE_INTEROP === "1") throw new Error(message);
  console.log(`skipped: ${message}`);
  return false;
}

/** The real one. Throws where the processor has no AES instructions. */
export function lendAes(memory: WebAssembly.Memory): LentAes {
  const aes = openProcessorAes(memory);
  if (aes === undefined)
    throw new Error("this processor has no AES instructions, or OpenSSL cannot be called");
  return aes;
}

/** The real one for `calls` calls. The next one fails and leaves nonsense behind; to ask again is an error. */
export function failingAes(memory: WebAssembly.Memory, calls: number): LentAes {
  const aes = lendAes(memory);
  const octets = new Uint8Array(memory.buffer);
  let left = calls;
  return {
    ...bind(aes),
    crypt: (place, blocks, length) => {
      if (left < 0) throw new Error("asked again after it had failed");
      if (left-- > 0) return aes.crypt(place, blocks, length);
      octets.fill(0xa5, blocks, blocks + length);
      return false;
    },
  };
}

/** Counts what the real one is asked for. */
export function countingAes(): {
  readonly lend: (memory: WebAssembly.Memory) => LentAes;
  /** Calls, and blocks in them, so far. */
  readonly calls: number;
  readonly blocks: number;
  /** Keys that it holds. */
  readonly keys: number;
} {
  let calls = 0;
  let blocks = 0;
  const places = new Set<number>();
  return {
    lend: (memory) => {
      const aes = lendAes(memory);
      return {
        ...bind(aes),
        expandKey: (place, ...key) => {
          places.add(place);
          return aes.expandKey(place, ...key);
        },
        crypt: (place, at, length) => {
          calls++;
          blocks += length / 16;
          return aes.crypt(place, at, length);
        },
        forgetKey: (place) => {
          places.delete(place);
          aes.forgetKey(place);
        },
      };
    },
    get calls() {
      return calls;
    },
    get blocks() {
      return blocks;
    },
    get keys() {
      return places.size;
    },
  };
}

function bind(aes: LentAes): LentAes {
  return {
    expandKey: (...values) => aes.expandKey(...values),
    crypt: (...values) => aes.crypt(...values),
    forgetKey: (place) => aes.forgetKey(place),
    close: () => aes.close(),
  };
}
