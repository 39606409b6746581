import { describe, expect, test } from "vitest";
import { toHex } from "../../../src/bytes/hex.ts";
import type { ComputeResult } from "../../../src/crypto/jobs.ts";
import { findGroup } from "../../../src/crypto/key-exchange/group.ts";
import { SeededCryptoProvider } from "../../../src/crypto/key-exchange/seeded-crypto-provider.ts";
import { SUPPORTED_GROUPS } from "../../../src/crypto/suites.ts";

function keyPair(provider: SeededCryptoProvider, group: number) {
  const result = provider.compute({ kind: "generate-key-pair", group });
  if (result.kind !== "key-pair") throw new Error(result.kind);
  return result;
}

describe.each([...SUPPORTED_GROUPS])("group %d", (group) => {
  test("two providers agree on one secret, in the lengths of the real group", () => {
    const [left, right] = [new SeededCryptoProvider(1), new SeededCryptoProvider(2)];
    const [a, b] = [keyPair(left, group), keyPair(right, group)];
    const agree = (provider: SeededCryptoProvider, own: typeof a, peer: typeof a): ComputeResult =>
      provider.compute({
        kind: "agree",
        group,
        privateKey: own.privateKey,
        peerPublicValue: peer.publicValue,
      });
    const secret = agree(left, a, b);
    expect(agree(right, b, a)).toEqual(secret);
    expect(a.publicValue).toHaveLength(findGroup(group)!.publicValueLength);
    expect(secret.kind === "shared-secret" && secret.sharedSecret.length).toBe(
      findGroup(group)!.sharedSecretLength,
    );
    expect(agree(left, a, keyPair(right, group))).not.toEqual(secret);
  });
});

test("the same seed gives the same keys in the same order, another seed gives others", () => {
  const values = (seed: number) => {
    const provider = new SeededCryptoProvider(seed);
    return [31, 31, 19].map((group) => toHex(keyPair(provider, group).publicValue));
  };
  expect(values(7)).toEqual(values(7));
  expect(values(7)).not.toEqual(values(8));
  expect(new Set(values(7)).size).toBe(3);
});

test("values of zero, of one and of the wrong length fail, as does a group that is missing", async () => {
  const provider = new SeededCryptoProvider(1);
  const { privateKey, publicValue } = keyPair(provider, 31);
  const one = new Uint8Array(32);
  one[31] = 1;
  for (const peerPublicValue of [
    new Uint8Array(32),
    one,
    publicValue.subarray(1),
    new Uint8Array(32).fill(0xff),
  ]) {
    const result = await provider.run({ kind: "agree", group: 31, privateKey, peerPublicValue });
    expect(result.kind).toBe("failed");
  }
  expect(await provider.run({ kind: "generate-key-pair", group: 99 })).toEqual({
    kind: "failed",
    reason: "99: this build lacks the group",
  });
});
