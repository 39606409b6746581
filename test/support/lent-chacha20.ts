import { createCipheriv } from "node:crypto";
import type { LentChaCha20 } from "../../src/platform/native-ciphers/lent-ciphers.ts";
import { openNativeChaCha20 } from "../../src/platform/native-ciphers/openssl-chacha20.ts";

/** Whether this machine can lend it. Where it cannot, the kernel's own is all there is to test. */
export function mayLendChaCha20(): boolean {
  return openNativeChaCha20({ buffer: new SharedArrayBuffer(64) }) !== undefined;
}

/** The real one. */
export function lendChaCha20(memory: WebAssembly.Memory): LentChaCha20 {
  const chaCha20 = openNativeChaCha20(memory);
  if (chaCha20 === undefined) throw new Error("this machine lends no ChaCha20");
  return chaCha20;
}

/** One that works everywhere, as slow as it may be, and counts texts and their octets. */
export function countingChaCha20(crypt: (memory: WebAssembly.Memory) => LentChaCha20["crypt"]) {
  let texts = 0;
  let octets = 0;
  return {
    lend: (memory: WebAssembly.Memory): LentChaCha20 => {
      const inner = crypt(memory);
      return {
        crypt(destination, source, length, key, counter) {
          texts++;
          octets += length;
          inner(destination, source, length, key, counter);
        },
      };
    },
    get texts() {
      return texts;
    },
    get octets() {
      return octets;
    },
  };
}

/** By node:crypto, with copies. */
export function slowChaCha20(memory: WebAssembly.Memory): LentChaCha20["crypt"] {
  const octets = new Uint8Array(memory.buffer);
  return (destination, source, length, key, counter) => {
    const cipher = createCipheriv(
      "chacha20",
      octets.slice(key, key + 32),
      octets.slice(counter, counter + 16),
    );
    octets.set(cipher.update(octets.slice(source, source + length)), destination);
  };
}
