import { createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from "node:crypto";
import { KeyExchangeMethod } from "../../iana/ikev2-parameters.ts";
import { movedOctets } from "../plain-octets.ts";
import type { Group } from "./group.ts";

/**
 * X25519 and X448 (RFC 7748, RFC 8031): 32 and 56 octets both ways, on the thread that asks. Public values go in and out as JSON Web Keys
 * (RFC 8037): to read and write the same as DER takes OpenSSL 3.0 longer than the curve does. Microseconds for X25519, one core, Node 20.20:
 *
 *                          JWK   DER
 *   generate and export     34   111
 *   import and agree        46   115
 *
 * A message to a worker and back is 80.
 */
export const MONTGOMERY_GROUPS: readonly Group[] = [
  montgomery({
    id: KeyExchangeMethod.CURVE25519,
    length: 32,
    curve: "X25519",
    generate: () => generateKeyPairSync("x25519"),
  }),
  montgomery({
    id: KeyExchangeMethod.CURVE448,
    length: 56,
    curve: "X448",
    generate: () => generateKeyPairSync("x448"),
  }),
];

function montgomery(input: {
  readonly id: number;
  readonly length: number;
  readonly curve: "X25519" | "X448";
  readonly generate: () => { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
}): Group {
  const { id, length, curve, generate } = input;
  return {
    id,
    publicValueLength: length,
    sharedSecretLength: length,
    isQuick: true,
    generate() {
      const { publicKey, privateKey } = generate();
      const { x = "" } = publicKey.export({ format: "jwk" });
      return { publicValue: new Uint8Array(Buffer.from(x, "base64url")), secret: privateKey };
    },
    agree(secret, peerPublicValue) {
      const key = { kty: "OKP", crv: curve, x: Buffer.from(peerPublicValue).toString("base64url") };
      const publicKey = createPublicKey({ key, format: "jwk" });
      return movedOctets(diffieHellman({ privateKey: secret as KeyObject, publicKey }));
    },
  };
}
