import { DiffieHellman, type DiffieHellmanGroup, getDiffieHellman } from "node:crypto";
import { wipe } from "../../bytes/wipe.ts";
import { KeyExchangeMethod } from "../../iana/ikev2-parameters.ts";
import { movedOctets } from "../plain-octets.ts";
import type { Group } from "./group.ts";

/**
 * The MODP groups of RFC 3526, through the groups that node:crypto knows by name. Milliseconds, medians on one core:
 *
 *                                       group 14          15          16          17          18
 *   named group, generate and agree   0.28  0.29   1.0   0.7   1.8   1.9   3.5   3.4   6.7   6.6   Node 20.20 (OpenSSL 3.0)
 *                                     0.29  0.31   0.7   0.7                                       Node 24.21 (OpenSSL 3.5)
 *   key objects, agree                      2.9          7.0        17          58         112     Node 20
 *                                           0.29         0.74                                      Node 24
 *   createDiffieHellman(prime), agree       0.28         0.8         1.5         2.3         6.6   Node 20
 *                                         562         4400                                         Node 24: tests the prime
 *
 * OpenSSL chooses private exponents of twice the strength of the group (225 bits for 14, 400 for 18), as RFC 7919 section
 * 5.2 advises; an exponent as long as the prime would cost ten times as much and add nothing.
 */
export const MODP_GROUPS: readonly Group[] = [
  // RFC 2409 section 6.2. Only `compat: windows-default` offers it (policy/compat.ts).
  modp(KeyExchangeMethod.MODP_1024, "modp2", 128),
  modp(KeyExchangeMethod.MODP_2048, "modp14", 256),
  modp(KeyExchangeMethod.MODP_3072, "modp15", 384),
  modp(KeyExchangeMethod.MODP_4096, "modp16", 512),
  modp(KeyExchangeMethod.MODP_6144, "modp17", 768),
  modp(KeyExchangeMethod.MODP_8192, "modp18", 1024),
];

/** A named group has no setter of its own, but takes that of its sibling: the key may have been made on another thread. */
const setPrivateKey: (this: DiffieHellmanGroup, privateKey: Uint8Array) => void =
  DiffieHellman.prototype.setPrivateKey;

function modp(id: number, name: string, length: number): Group {
  let prime: Uint8Array | undefined;
  const primeOctets = (): Uint8Array => {
    prime ??= getDiffieHellman(name).getPrime();
    return prime;
  };

  return {
    id,
    publicValueLength: length,
    sharedSecretLength: length,
    // 0.3 ms here and several on a small board: never on the thread that answers everybody.
    isQuick: false,

    generate() {
      const diffieHellman = getDiffieHellman(name);
      const publicValue = leftPadded(diffieHellman.generateKeys(), length);
      return { publicValue, secret: movedOctets(diffieHellman.getPrivateKey()) };
    },

    agree(secret, peerPublicValue) {
      const diffieHellman = getDiffieHellman(name);
      setPrivateKey.call(diffieHellman, secret as Uint8Array);
      const sharedSecret = diffieHellman.computeSecret(peerPublicValue);
      const padded = leftPadded(sharedSecret, length);
      wipe(sharedSecret);
      return padded;
    },

    // RFC 6989 section 2.1: with a safe prime, 1 < value < p - 1 suffices.
    checkRange(value) {
      const p = primeOctets();
      const head = value.subarray(0, -1);
      const last = value[length - 1]!;
      if (head.every((octet) => octet === 0) && last <= 1) return `the public value is ${last}`;
      if (Buffer.compare(value, p) >= 0) return "the public value is not below the prime";
      // The prime is odd: p - 1 differs in the last octet alone.
      const isMinusOne = last === p[length - 1]! - 1 && Buffer.compare(head, p.subarray(0, -1)) === 0;
      return isMinusOne ? "the public value is p - 1" : undefined;
    },
  };
}

/** RFC 7296 sections 2.14 and 3.4: public value and shared secret are as long as the prime, with zeros in front. */
function leftPadded(octets: Uint8Array, length: number): Uint8Array {
  const padded = new Uint8Array(length);
  padded.set(octets, length - octets.length);
  return padded;
}
