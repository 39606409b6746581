import { createECDH, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from "node:crypto";
import { concat } from "../../bytes/concat.ts";
import { fromHex } from "../../bytes/hex.ts";
import { KeyExchangeMethod } from "../../iana/ikev2-parameters.ts";
import { movedOctets } from "../plain-octets.ts";
import type { Group } from "./group.ts";

/**
 * The ECP groups of RFC 5903: a public value is x | y without the octet 4 that others put in front (section 7), a shared
 * secret is x alone. Milliseconds, medians on one core, generate and agree:
 *
 *   group                19           20           21
 *   ECDH objects   0.02  0.12   0.8   6.7    3.9  13.6   Node 20.20 (OpenSSL 3.0)
 *                  0.03  0.11   0.8   5.2    3.9  11.7   Node 24.21 (OpenSSL 3.5)
 *   key objects    0.17  0.22   0.9   1.5    3.1   6.9   Node 20
 *                  0.08  0.10   0.8   0.8    4.1   4.0   Node 24
 *
 * ECDH objects check their own key when it is set and at every agreement, which is cheap for P-256 alone.
 */
export const ECP_GROUPS: readonly Group[] = [
  throughEcdh(KeyExchangeMethod.ECP_256, "prime256v1", 32),
  throughKeyObjects({
    id: KeyExchangeMethod.ECP_384,
    curve: "secp384r1",
    fieldLength: 48,
    spkiPrefix: fromHex("3076301006072a8648ce3d020106052b81040022036200 04"),
  }),
  throughKeyObjects({
    id: KeyExchangeMethod.ECP_521,
    curve: "secp521r1",
    fieldLength: 66,
    spkiPrefix: fromHex("30819b301006072a8648ce3d020106052b8104002303818600 04"),
  }),
];

function throughEcdh(id: number, curve: string, fieldLength: number): Group {
  return {
    id,
    publicValueLength: 2 * fieldLength,
    sharedSecretLength: fieldLength,
    isQuick: true,
    generate() {
      const ecdh = createECDH(curve);
      const publicValue = new Uint8Array(ecdh.generateKeys().subarray(1));
      return { publicValue, secret: movedOctets(ecdh.getPrivateKey()) };
    },
    agree(secret, peerPublicValue) {
      const ecdh = createECDH(curve);
      ecdh.setPrivateKey(secret as Uint8Array);
      return movedOctets(ecdh.computeSecret(concat(Uint8Array.of(UNCOMPRESSED), peerPublicValue)));
    },
  };
}

const UNCOMPRESSED = 4;

function throughKeyObjects(input: {
  readonly id: number;
  readonly curve: string;
  readonly fieldLength: number;
  /** Everything of a SubjectPublicKeyInfo (RFC 5480) before x, the octet 4 included. */
  readonly spkiPrefix: Uint8Array;
}): Group {
  const { id, curve, fieldLength, spkiPrefix } = input;
  return {
    id,
    publicValueLength: 2 * fieldLength,
    sharedSecretLength: fieldLength,
    isQuick: false,
    generate() {
      const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: curve });
      const spki = publicKey.export({ format: "der", type: "spki" });
      return { publicValue: new Uint8Array(spki.subarray(spkiPrefix.length)), secret: privateKey };
    },
    agree(secret, peerPublicValue) {
      const key = Buffer.from(concat(spkiPrefix, peerPublicValue));
      const publicKey = createPublicKey({ key, format: "der", type: "spki" });
      return movedOctets(diffieHellman({ privateKey: secret as KeyObject, publicKey }));
    },
  };
}
