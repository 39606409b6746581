import { describe, expect, test } from "vitest";
import { establishedPair } from "../support/simulator/index.ts";

// Octets: key, salt, integrity key.
const SUITES = [
  { esp: "aes256gcm16", integrity: undefined, length: 32 + 4 },
  { esp: "aes192gmac", integrity: undefined, length: 24 + 4 },
  { esp: "aes256gcm16iiv", integrity: undefined, length: 32 + 4 },
  { esp: "chacha20poly1305iiv", integrity: undefined, length: 32 + 4 },
  { esp: "aes256-sha1", integrity: 2, length: 32 + 20 },
  { esp: "aes128-sha256", integrity: 12, length: 16 + 32 },
  { esp: "aes192-sha384", integrity: 13, length: 24 + 48 },
  { esp: "aes256-sha512", integrity: 14, length: 32 + 64 },
  { esp: "aes128ctr-sha1", integrity: 2, length: 16 + 4 + 20 },
  { esp: "null-sha256", integrity: 12, length: 32 },
];

describe("a child SA", () => {
  test.each(SUITES)("with $esp gets keys of $length octets each way", ({ esp, integrity, length }) => {
    const { initiator, responder } = establishedPair({ seed: 3, common: { esp: [esp] } });
    const [ours] = [...initiator.installed.values()];
    const [theirs] = [...responder.installed.values()];
    for (const childSa of [ours!, theirs!]) {
      expect(childSa.integrity?.id).toBe(integrity);
      expect(childSa.inboundKey).toHaveLength(length);
    }
    expect(ours!.inboundKey).toEqual(theirs!.outboundKey);
    expect(ours!.outboundKey).toEqual(theirs!.inboundKey);
    expect(ours!.inboundKey).not.toEqual(ours!.outboundKey);
  });

  test("falls back to an IV in each packet where the peer knows no implicit ones (RFC 8750 section 5)", () => {
    const { initiator } = establishedPair({
      seed: 5,
      initiator: { esp: ["aes256gcm16iiv-aes256gcm16"] },
      responder: { esp: ["aes256gcm16"] },
    });
    expect([...initiator.installed.values()][0]!.encryption).toMatchObject({ id: 20, keyLength: 256 });
  });

  test("is agreed on by the ciphers that both have, with integrity only where it is needed", () => {
    const { initiator } = establishedPair({
      seed: 4,
      initiator: { esp: ["aes256-aes128-sha512-sha1", "aes128gcm16"] },
      responder: { esp: ["aes256gcm16", "aes192-aes128-sha1-sha256"] },
    });
    const [childSa] = [...initiator.installed.values()];
    expect(childSa!.encryption).toMatchObject({ id: 12, keyLength: 128 });
    expect(childSa!.integrity).toMatchObject({ id: 2 });
  });
});
