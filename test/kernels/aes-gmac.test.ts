import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { describeAead } from "../support/aead-suite.ts";
import { AES_GMAC } from "../support/encrypt-then-mac.ts";
import { KernelBed } from "../support/kernel.ts";
import { GMAC_PACKET } from "../vectors/esp-gmac/packet.ts";

describeAead("AES-GMAC", AES_GMAC);
describeAead("AES-GMAC with tables", { ...AES_GMAC, isBusy: true });

describe("AES-GMAC", () => {
  test("seals and opens a known ESP packet", () => {
    const bed = new KernelBed(AES_GMAC);
    const { key, salt, spiAndSequence, iv, text, icv } = GMAC_PACKET;
    const packet = {
      key: fromHex(key),
      nonce: fromHex(salt + iv),
      aad: fromHex(spiAndSequence + iv),
      plaintext: fromHex(text),
    };
    const [sealed] = bed.seal([packet]);
    expect(toHex(sealed!.output)).toBe(text);
    expect(toHex(sealed!.tag)).toBe(icv);
    const [opened] = bed.open([{ ...packet, ciphertext: fromHex(text), tag: fromHex(icv) }]);
    expect(opened!.isAuthentic).toBe(true);
    expect(toHex(opened!.output)).toBe(text);
  });
});
