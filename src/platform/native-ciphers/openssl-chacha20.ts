import { createCipheriv, randomBytes } from "node:crypto";
import type { SharedMemory } from "../system-calls/system-calls.ts";
import type { LentChaCha20 } from "./lent-ciphers.ts";
import { loadOpenSsl } from "./openssl.ts";
import { hasWideVectors } from "./processor.ts";

/**
 * What OpenSSL itself calls for each packet: out, in, length, key, counter and nonce. It is not of its public interface, by which a packet
 * would take three calls and gain nothing; so it may be missing, and is not trusted before it has been tried.
 */
const PROTOTYPES = {
  ChaCha20_ctr32: ["void", "intptr_t", "intptr_t", "size_t", "intptr_t", "intptr_t"],
} as const;

const TRIAL_LENGTHS = [64, 448, 1400, 4099];

/**
 * ChaCha20 of the OpenSSL that the runtime brings, in the processor's widest vectors. Undefined where these are no wider than WebAssembly's,
 * and where OpenSSL does not show the function, as one that was linked as a shared library does not.
 */
export function openNativeChaCha20(memory: SharedMemory): LentChaCha20 | undefined {
  if (!hasWideVectors()) return undefined;
  try {
    const { ChaCha20_ctr32, addressOf } = loadOpenSsl(PROTOTYPES);
    const over = (buffer: ArrayBufferLike): LentChaCha20 => {
      const base = addressOf(new Uint8Array(buffer));
      return {
        crypt(destination, source, length, key, counter) {
          ChaCha20_ctr32(base + destination, base + source, length, base + key, base + counter);
        },
      };
    };
    return TRIAL_LENGTHS.every((length) => isRight(over, length)) ? over(memory.buffer) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether it does what OpenSSL's public interface does, in place and apart, and writes nothing behind the text. */
function isRight(over: (buffer: ArrayBufferLike) => LentChaCha20, length: number): boolean {
  const [key, counter, text] = [randomBytes(32), randomBytes(16), randomBytes(length)];
  counter.writeUInt32LE(1);
  const expected = createCipheriv("chacha20", key, counter).update(text);
  const [source, destination] = [64, 64 + length + 64];
  const octets = Buffer.from(new SharedArrayBuffer(destination + length + 64));
  octets.set(key);
  octets.set(counter, 32);
  octets.set(text, source);
  const chaCha20 = over(octets.buffer);
  chaCha20.crypt(destination, source, length, 0, 32);
  chaCha20.crypt(source, source, length, 0, 32);
  const isEverywhereRight = [source, destination].every(
    (at) =>
      expected.equals(octets.subarray(at, at + length)) &&
      octets.subarray(at + length, at + length + 64).every((octet) => octet === 0),
  );
  return isEverywhereRight && key.equals(octets.subarray(0, 32)) && counter.equals(octets.subarray(32, 48));
}
