import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { describeAead } from "../support/aead-suite.ts";
import { CHACHA20_POLY1305, KernelBed } from "../support/kernel.ts";
import { ESP_VECTOR } from "../vectors/rfc7634/esp.ts";
import { AEAD_VECTORS } from "../vectors/rfc8439/aead.ts";
import { CHACHA20_VECTORS } from "../vectors/rfc8439/chacha20.ts";

describeAead("ChaCha20-Poly1305", CHACHA20_POLY1305);

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
});
