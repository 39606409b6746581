import { getDiffieHellman } from "node:crypto";
import { x448 } from "@noble/curves/ed448.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { concat } from "../../src/bytes/concat.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { agree, findGroup, type Group, groupName } from "../../src/crypto/key-exchange/group.ts";
import { KeyExchangeMethod } from "../../src/iana/ikev2-parameters.ts";
import { expectEqual, type Subject } from "./subject.ts";

/** Somebody else who knows the group, with values as they go on the wire. */
interface OtherParty {
  readonly name: string;
  generate(): { readonly secret: Uint8Array; readonly publicValue: Uint8Array };
  agree(secret: Uint8Array, peerPublicValue: Uint8Array): Uint8Array;
}

const OTHERS: readonly (readonly [id: number, other: OtherParty])[] = [
  [KeyExchangeMethod.CURVE25519, nobleMontgomery(x25519)],
  [KeyExchangeMethod.CURVE448, nobleMontgomery(x448)],
  [KeyExchangeMethod.ECP_256, nobleEcp(p256)],
  [KeyExchangeMethod.ECP_384, nobleEcp(p384)],
  [KeyExchangeMethod.ECP_521, nobleEcp(p521)],
  [KeyExchangeMethod.MODP_2048, bigIntModp("modp14", 256)],
  [KeyExchangeMethod.MODP_4096, bigIntModp("modp16", 512)],
];

/** IKE key exchanges on the calling thread: a key pair, and the shared secret from the peer's value with all checks. */
export function* keyExchangeSubjects(): Generator<Subject> {
  for (const [id, other] of OTHERS) {
    yield generateSubject(groupOf(id), other);
    yield agreeSubject(groupOf(id), other);
  }
}

function generateSubject(group: Group, other: OtherParty): Subject {
  return {
    ...commonPart(group, "generate"),
    contenders: [
      { name: "src/crypto", run: () => group.generate() },
      { name: other.name, run: () => other.generate() },
    ],
    prove: () => expectAgreement(group, other),
  };
}

function agreeSubject(group: Group, other: OtherParty): Subject {
  const peer = group.generate().publicValue;
  const ours = group.generate();
  const theirs = other.generate();
  return {
    ...commonPart(group, "agree"),
    contenders: [
      { name: "src/crypto", run: () => agree(group, ours.secret, peer) },
      { name: other.name, run: () => other.agree(theirs.secret, peer) },
    ],
    prove: () => expectAgreement(group, other),
  };
}

function commonPart(group: Group, what: string): Pick<Subject, "group" | "name" | "operations" | "octets"> {
  return { group: "IKE key exchange", name: `${groupName(group.id)} ${what}`, operations: 1, octets: 0 };
}

/** Both make a key pair and come to the same secret. */
function expectAgreement(group: Group, other: OtherParty): void {
  const ours = group.generate();
  const theirs = other.generate();
  expectEqual(
    groupName(group.id),
    new Map([
      ["src/crypto", agree(group, ours.secret, theirs.publicValue)],
      [other.name, other.agree(theirs.secret, ours.publicValue)],
    ]),
  );
}

function groupOf(id: number): Group {
  const group = findGroup(id);
  if (group === undefined) throw new Error(`group ${id} is missing`);
  return group;
}

function nobleMontgomery(curve: typeof x25519): OtherParty {
  return {
    name: "@noble/curves",
    generate() {
      const secret = curve.utils.randomSecretKey();
      return { secret, publicValue: curve.getPublicKey(secret) };
    },
    agree: (secret, peerPublicValue) => curve.getSharedSecret(secret, peerPublicValue),
  };
}

/** RFC 5903 section 7: x | y on the wire, x alone is the secret. */
function nobleEcp(curve: typeof p256): OtherParty {
  return {
    name: "@noble/curves",
    generate() {
      const secret = curve.utils.randomSecretKey();
      return { secret, publicValue: curve.getPublicKey(secret, false).subarray(1) };
    },
    agree(secret, peerPublicValue) {
      return curve.getSharedSecret(secret, concat(Uint8Array.of(4), peerPublicValue), true).subarray(1);
    },
  };
}

/** MODP with the language's own numbers, with exponents as long as those that node:crypto takes. */
function bigIntModp(name: string, length: number): OtherParty {
  const prime = BigInt(`0x${getDiffieHellman(name).getPrime("hex")}`);
  const power = (base: bigint, exponent: bigint): bigint => {
    let result = 1n;
    for (let square = base, rest = exponent; rest > 0n; rest >>= 1n) {
      if (rest & 1n) result = (result * square) % prime;
      square = (square * square) % prime;
    }
    return result;
  };
  const toOctets = (number: bigint): Uint8Array => fromHex(number.toString(16).padStart(2 * length, "0"));
  const toNumber = (octets: Uint8Array): bigint => BigInt(`0x${toHex(octets)}`);
  return {
    name: "BigInt",
    generate() {
      const diffieHellman = getDiffieHellman(name);
      diffieHellman.generateKeys();
      const secret = new Uint8Array(diffieHellman.getPrivateKey());
      return { secret, publicValue: toOctets(power(2n, toNumber(secret))) };
    },
    agree: (secret, peerPublicValue) => toOctets(power(toNumber(peerPublicValue), toNumber(secret))),
  };
}
