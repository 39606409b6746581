import { createHmac } from "node:crypto";
import { expect, test, vi } from "vitest";
import { pskAuth, verifyPskAuth } from "../../src/auth/psk.ts";
import { identificationBody, signedOctets } from "../../src/auth/signed-octets.ts";
import * as constantTime from "../../src/bytes/constant-time.ts";
import { toHex } from "../../src/bytes/hex.ts";

vi.mock(import("../../src/bytes/constant-time.ts"), async (original) => {
  const { equal } = await original();
  return { equal: vi.fn(equal) };
});

const message = Buffer.from("the whole IKE_SA_INIT message");
const peerNonce = Buffer.alloc(32, 0x5a);
const skP = Buffer.alloc(32, 0x17);
const psk = Buffer.from("correct horse battery staple");
const identity = { type: 2, data: Buffer.from("a.example.org") };
const octets = signedOctets({
  message,
  peerNonce,
  prfId: 5,
  skP,
  identificationBody: identificationBody(identity),
});

test("signed octets are message | peer's nonce | prf(SK_p, ID type, three reserved zeros, ID data)", () => {
  const maced = createHmac("sha256", skP)
    .update(Buffer.concat([Buffer.of(2, 0, 0, 0), identity.data]))
    .digest();
  expect(toHex(octets)).toBe(Buffer.concat([message, peerNonce, maced]).toString("hex"));
});

test.each([
  [2, "sha1"],
  [5, "sha256"],
  [6, "sha384"],
  [7, "sha512"],
] as const)("AUTH under PRF %d is prf(prf(PSK, Key Pad for IKEv2), signed octets)", (prfId, hash) => {
  const key = createHmac(hash, psk).update("Key Pad for IKEv2", "ascii").digest();
  const expected = createHmac(hash, key).update(octets).digest("hex");
  expect(toHex(pskAuth({ prfId, psk, signedOctets: octets }))).toBe(expected);
});

test("verification accepts the right key alone", () => {
  const authentication = pskAuth({ prfId: 5, psk, signedOctets: octets });
  const claim = { prfId: 5, psk, signedOctets: octets, authentication };
  expect(verifyPskAuth(claim)).toBe(true);
  expect(verifyPskAuth({ ...claim, psk: Buffer.from("correct horse battery stable") })).toBe(false);
  expect(verifyPskAuth({ ...claim, prfId: 6 })).toBe(false);
  expect(verifyPskAuth({ ...claim, signedOctets: octets.subarray(1) })).toBe(false);
  expect(verifyPskAuth({ ...claim, authentication: authentication.subarray(0, 31) })).toBe(false);
  expect(verifyPskAuth({ ...claim, authentication: new Uint8Array(0) })).toBe(false);
  for (let bit = 0; bit < 256; bit++) {
    const forged = authentication.slice();
    forged[bit >>> 3]! ^= 1 << (bit & 7);
    expect(verifyPskAuth({ ...claim, authentication: forged })).toBe(false);
  }
});

test("verification compares in constant time", () => {
  const authentication = new Uint8Array(32);
  vi.mocked(constantTime.equal).mockClear();
  verifyPskAuth({ prfId: 5, psk, signedOctets: octets, authentication });
  expect(constantTime.equal).toHaveBeenCalledOnce();
  expect(vi.mocked(constantTime.equal).mock.calls[0]).toContain(authentication);
});
