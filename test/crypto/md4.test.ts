import { expect, test } from "vitest";
import { toHex } from "../../src/bytes/hex.ts";
import { md4 } from "../../src/crypto/md4.ts";
import { ntHash } from "../../src/crypto/nt-hash.ts";
import { MD4_VECTORS } from "../vectors/rfc1320/md4.ts";
import { RFC_2759_EXAMPLE } from "../vectors/rfc2759/mschapv2.ts";

test.each(MD4_VECTORS)("MD4 of %j is %s", (message, digest) => {
  expect(toHex(md4(new TextEncoder().encode(message)))).toBe(digest);
});

test("the length of a message is told in its last block, wherever the padding falls", () => {
  const digests = Array.from({ length: 130 }, (_, length) => toHex(md4(new Uint8Array(length))));
  expect(new Set(digests).size).toBe(130);
});

test("a password is hashed in UTF-16, as RFC 2759 has it", () => {
  expect(ntHash(RFC_2759_EXAMPLE.password)).toEqual(RFC_2759_EXAMPLE.passwordHash);
  // Beyond the basic plane a character is two units.
  const units = Uint8Array.of(0xe9, 0x00, 0x3d, 0xd8, 0x11, 0xdd);
  expect(ntHash("é🔑")).toEqual(md4(units));
});
