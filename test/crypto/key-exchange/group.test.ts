import { createPrivateKey } from "node:crypto";
import { x448 } from "@noble/curves/ed448.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../../src/bytes/hex.ts";
import {
  agree,
  checkPublicValue,
  findGroup,
  type Group,
  type GroupSecret,
} from "../../../src/crypto/key-exchange/group.ts";
import { SUPPORTED_GROUPS } from "../../../src/crypto/suites.ts";
import { AGREEMENT_VECTORS } from "../../vectors/key-exchange/vectors.ts";

const group = (id: number): Group => findGroup(id)!;
const NIST = { 19: p256, 20: p384, 21: p521 };
const NIST_NAMES = { 20: "P-384", 21: "P-521" };

/** A private key in the form that the group keeps: octets, or a key object. */
function privateKeyOf(id: number, octets: Uint8Array): GroupSecret {
  const pkcs8 = (prefix: string) =>
    createPrivateKey({ key: Buffer.from([...fromHex(prefix), ...octets]), format: "der", type: "pkcs8" });
  if (id === 31) return pkcs8("302e020100300506032b656e04220420");
  if (id === 32) return pkcs8("3046020100300506032b656f043a0438");
  if (id !== 20 && id !== 21) return octets;
  const point = NIST[id].getPublicKey(octets, false).subarray(1);
  const base64 = (part: Uint8Array) => Buffer.from(part).toString("base64url");
  const half = point.length / 2;
  const key = {
    kty: "EC",
    crv: NIST_NAMES[id],
    d: base64(octets),
    x: base64(point.subarray(0, half)),
    y: base64(point.subarray(half)),
  };
  return createPrivateKey({ key, format: "jwk" });
}

const toBigInt = (octets: Uint8Array): bigint => BigInt(`0x${toHex(octets)}`);
const toOctets = (value: bigint, length: number): Uint8Array =>
  fromHex(value.toString(16).padStart(2 * length, "0"));
function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let square = base % modulus, rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

test("every supported group is there", () => {
  expect([...SUPPORTED_GROUPS]).toEqual([14, 15, 16, 17, 18, 19, 20, 21, 31, 32]);
  for (const id of SUPPORTED_GROUPS) expect(findGroup(id)?.id).toBe(id);
  expect(findGroup(5)).toBeUndefined();
});

describe.each(AGREEMENT_VECTORS)("vectors of $source", (vector) => {
  test("node:crypto and @noble/curves both give the shared secret", () => {
    const secret = fromHex(vector.privateKey);
    const peer = fromHex(vector.peerPublicValue);
    const expected = toHex(fromHex(vector.sharedSecret));
    expect(toHex(agree(group(vector.group), privateKeyOf(vector.group, secret), peer))).toBe(expected);
    expect(toHex(nobleAgree(vector.group, secret, peer))).toBe(expected);
    expect(toHex(noblePublicValue(vector.group, secret))).toBe(toHex(fromHex(vector.publicValue)));
  });
});

describe.each([...SUPPORTED_GROUPS])("group %d", (id) => {
  test("two sides agree on a secret of the right length, and values have the length of the wire", () => {
    const { generate, publicValueLength, sharedSecretLength } = group(id);
    const [a, b] = [generate(), generate()];
    expect(a.publicValue).toHaveLength(publicValueLength);
    expect(toHex(a.publicValue)).not.toBe(toHex(b.publicValue));
    const secret = agree(group(id), a.secret, b.publicValue);
    expect(secret).toHaveLength(sharedSecretLength);
    expect(agree(group(id), b.secret, a.publicValue)).toEqual(secret);
  });

  test("values that are too short or too long are refused", () => {
    const { secret, publicValue } = group(id).generate();
    for (const value of [publicValue.subarray(1), new Uint8Array([...publicValue, 0]), new Uint8Array(0)]) {
      expect(() => agree(group(id), secret, value)).toThrow(/octets instead of/);
    }
  });

  test("a value of zeros is refused", () => {
    const { secret, publicValue } = group(id).generate();
    expect(() => agree(group(id), secret, new Uint8Array(publicValue.length))).toThrow(RangeError);
  });
});

describe.each([19, 20, 21] as const)("ECP group %d", (id) => {
  test("agrees with @noble/curves on fresh keys: x | y in, x out", () => {
    const ours = group(id).generate();
    const noble = NIST[id].utils.randomSecretKey();
    const theirPublic = NIST[id].getPublicKey(noble, false).subarray(1);
    expect(toHex(agree(group(id), ours.secret, theirPublic))).toBe(
      toHex(nobleAgree(id, noble, ours.publicValue)),
    );
  });

  test("points off the curve and coordinates beyond the prime are refused", () => {
    const { secret, publicValue } = group(id).generate();
    const half = publicValue.length / 2;
    const flipped = publicValue.slice();
    flipped[flipped.length - 1]! ^= 1;
    const swapped = new Uint8Array([...publicValue.subarray(half), ...publicValue.subarray(0, half)]);
    const beyond = new Uint8Array([...new Uint8Array(half).fill(0xff), ...publicValue.subarray(half)]);
    for (const value of [flipped, swapped, beyond, new Uint8Array(2 * half).fill(0xff)]) {
      expect(() => agree(group(id), secret, value)).toThrow(/not a point of the curve/);
    }
  });
});

test("a P-256 secret that begins with zeros keeps them", () => {
  const { secret } = group(19).generate();
  let secretWithZero: Uint8Array | undefined;
  for (let i = 0; i < 5000 && secretWithZero === undefined; i++) {
    const result = agree(group(19), secret, group(19).generate().publicValue);
    if (result[0] === 0) secretWithZero = result;
  }
  expect(secretWithZero).toHaveLength(32);
});

describe("X25519 and X448", () => {
  const P25519 = 2n ** 255n - 19n;
  const P448 = 2n ** 448n - 2n ** 224n - 1n;
  const littleEndian = (value: bigint, length: number) => toOctets(value, length).reverse();
  const SMALL_ORDER = [
    ...[0n, 1n, P25519 - 1n, P25519, P25519 + 1n].map((u) => [31, toHex(littleEndian(u, 32))] as const),
    [31, "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"],
    [31, "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"],
    ...[0n, 1n, P448 - 1n, P448, P448 + 1n].map((u) => [32, toHex(littleEndian(u, 56))] as const),
  ] as const;

  test.each(SMALL_ORDER)("group %d refuses the point of small order %s", (id, value) => {
    const { secret } = group(id).generate();
    expect(() => agree(group(id), secret, fromHex(value))).toThrow(/small order|is zero/);
  });

  test.each([31, 32] as const)("group %d agrees with @noble/curves on fresh keys", (id) => {
    const ours = group(id).generate();
    const noble = (id === 31 ? x25519 : x448).utils.randomSecretKey();
    expect(toHex(agree(group(id), ours.secret, noblePublicValue(id, noble)))).toBe(
      toHex(nobleAgree(id, noble, ours.publicValue)),
    );
  });

  test("X25519 ignores the top bit of a public value (RFC 7748 section 5)", () => {
    const [a, b] = [group(31).generate(), group(31).generate()];
    const masked = b.publicValue.slice();
    masked[31]! ^= 0x80;
    expect(agree(group(31), a.secret, masked)).toEqual(agree(group(31), a.secret, b.publicValue));
  });
});

describe.each([
  [14, 2048, 124_476n],
  [15, 3072, 1_690_314n],
  [16, 4096, 240_904n],
  [17, 6144, 929_484n],
  [18, 8192, 4_743_158n],
] as const)("MODP group %d", (id, bits, constant) => {
  const length = bits / 8;
  /** RFC 3526: 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + constant). */
  const prime =
    2n ** BigInt(bits) - 2n ** BigInt(bits - 64) - 1n + 2n ** 64n * (scaledPi(bits - 130) + constant);

  test("computes modulo the prime of RFC 3526, and pads on the left", () => {
    const peer = toOctets(3n, length);
    const { secret, publicValue } = group(id).generate();
    const exponent = toBigInt(secret as Uint8Array);
    expect(toHex(publicValue)).toBe(toHex(toOctets(power(2n, exponent, prime), length)));
    expect(toHex(agree(group(id), secret, peer))).toBe(toHex(toOctets(power(3n, exponent, prime), length)));
    expect(toHex(agree(group(id), Uint8Array.of(2), peer))).toBe(toHex(toOctets(9n, length)));
  });

  test("private exponents have twice the strength of the group and are not as long as the prime", () => {
    const exponentBits = toBigInt(group(id).generate().secret as Uint8Array).toString(2).length;
    expect(exponentBits).toBeGreaterThan(200);
    expect(exponentBits).toBeLessThanOrEqual(512);
  });

  test("0, 1, p - 1, p and what is above are refused, 2 and p - 2 are not", () => {
    const check = (value: bigint) => checkPublicValue(group(id), toOctets(value, length));
    expect(check(0n)).toBe("the public value is 0");
    expect(check(1n)).toBe("the public value is 1");
    expect(check(prime - 1n)).toBe("the public value is p - 1");
    for (const value of [prime, prime + 1n, 2n ** BigInt(bits) - 1n]) {
      expect(check(value)).toBe("the public value is not below the prime");
    }
    expect(check(2n)).toBeUndefined();
    expect(check(256n)).toBeUndefined();
    expect(check(prime - 2n)).toBeUndefined();
  });
});

test("a MODP public value that begins with zeros keeps them", () => {
  const prime = 2n ** 2048n - 2n ** 1984n - 1n + 2n ** 64n * (scaledPi(1918) + 124_476n);
  let seen = 0;
  for (let i = 0; i < 3000 && seen === 0; i++) {
    const { publicValue, secret } = group(14).generate();
    if (publicValue[0] !== 0 && publicValue[255] !== 0) continue;
    expect(toBigInt(publicValue)).toBe(power(2n, toBigInt(secret as Uint8Array), prime));
    if (publicValue[0] === 0) seen++;
  }
  expect(seen).toBe(1);
});

/** [2^bits * pi], by Machin's formula. */
function scaledPi(bits: number): bigint {
  const one = 1n << BigInt(bits + 32);
  const arctanOfInverse = (x: bigint): bigint => {
    let sum = 0n;
    for (let term = one / x, k = 1n, sign = 1n; term > 0n; term /= x * x, k += 2n, sign = -sign) {
      sum += (sign * term) / k;
    }
    return sum;
  };
  return (4n * (4n * arctanOfInverse(5n) - arctanOfInverse(239n))) >> 32n;
}

function nobleAgree(id: number, secret: Uint8Array, peer: Uint8Array): Uint8Array {
  if (id === 31) return x25519.getSharedSecret(secret, peer);
  if (id === 32) return x448.getSharedSecret(secret, peer);
  const point = new Uint8Array([4, ...peer]);
  return NIST[id as 19 | 20 | 21].getSharedSecret(secret, point).subarray(1);
}

function noblePublicValue(id: number, secret: Uint8Array): Uint8Array {
  if (id === 31) return x25519.getPublicKey(secret);
  if (id === 32) return x448.getPublicKey(secret);
  return NIST[id as 19 | 20 | 21].getPublicKey(secret, false).subarray(1);
}
