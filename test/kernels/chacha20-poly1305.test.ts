import { createCipheriv } from "node:crypto";
import { describe, expect, test } from "vitest";
import { WORKER_BASE, WORKER_SCRATCH_OFFSET, WORKER_SCRATCH_SIZE } from "../../assembly/layout.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { describeAead } from "../support/aead-suite.ts";
import { CHACHA20_POLY1305, KernelBed } from "../support/kernel.ts";
import { lendChaCha20, mayLendChaCha20 } from "../support/lent-chacha20.ts";
import { ESP_VECTOR } from "../vectors/rfc7634/esp.ts";
import { AEAD_VECTORS } from "../vectors/rfc8439/aead.ts";
import { CHACHA20_VECTORS } from "../vectors/rfc8439/chacha20.ts";

describeAead("ChaCha20-Poly1305", CHACHA20_POLY1305);
if (mayLendChaCha20()) {
  describeAead("ChaCha20-Poly1305 with ChaCha20 that is lent", { ...CHACHA20_POLY1305, lendChaCha20 });
}

describe("ChaCha20-Poly1305", () => {
  const ESP = { source: "RFC 7634 appendix A", ...ESP_VECTOR, nonce: ESP_VECTOR.salt + ESP_VECTOR.iv };

  test.each([...AEAD_VECTORS, ESP])("seals and opens $source", (vector) => {
    const bed = new KernelBed(CHACHA20_POLY1305);
    const packet = {
      key: fromHex(vector.key),
      nonce: fromHex(vector.nonce),
      aad: fromHex(vector.aad),
      plaintext: fromHex(vector.plaintext),
    };
    const [sealed] = bed.seal([packet]);
    expect(toHex(sealed!.output)).toBe(vector.ciphertext);
    expect(toHex(sealed!.tag)).toBe(vector.tag);
    const [opened] = bed.open([
      { ...packet, ciphertext: fromHex(vector.ciphertext), tag: fromHex(vector.tag) },
    ]);
    expect(opened!.isAuthentic).toBe(true);
    expect(toHex(opened!.output)).toBe(vector.plaintext);
  });

  test.each(CHACHA20_VECTORS)("encrypts $source", (vector) => {
    const bed = new KernelBed(CHACHA20_POLY1305);
    const packet = {
      key: fromHex(vector.key),
      nonce: fromHex(vector.nonce),
      plaintext: fromHex(vector.plaintext),
    };
    const [sealed] = bed.seal([{ ...packet, aad: new Uint8Array(0) }]);
    expect(toHex(sealed!.output)).toBe(vector.ciphertext);
  });

  test("leaves neither key stream nor Poly1305 keys in scratch", () => {
    const bed = new KernelBed(CHACHA20_POLY1305);
    const key = new Uint8Array(32).fill(7);
    const nonce = new Uint8Array(12).fill(9);
    // Zeros encrypted from counter 0 on: block 0 is the Poly1305 key, block 1 the first key stream of the packet.
    const cipher = createCipheriv("chacha20", key, Buffer.concat([Buffer.alloc(4), nonce]));
    const keyStream = cipher.update(Buffer.alloc(128));
    const packet = { key, nonce, aad: new Uint8Array(8), plaintext: new Uint8Array(50).fill(1) };
    const [sealed] = bed.seal([packet]);
    bed.open([{ ...packet, ciphertext: sealed!.output, tag: sealed!.tag }]);
    const scratch = Buffer.from(
      bed.octets.slice(
        WORKER_BASE + WORKER_SCRATCH_OFFSET,
        WORKER_BASE + WORKER_SCRATCH_OFFSET + WORKER_SCRATCH_SIZE,
      ),
    );
    for (let word = 0; word < 128; word += 4) {
      expect(scratch.indexOf(keyStream.subarray(word, word + 4))).toBe(-1);
    }
  });
});
