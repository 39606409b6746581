import { inspect } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import type { ComputeResult, PrivateKey } from "../../../src/crypto/jobs.ts";
import { NodeCryptoProvider } from "../../../src/crypto/key-exchange/node-crypto-provider.ts";
import { SUPPORTED_GROUPS } from "../../../src/crypto/suites.ts";

let provider: NodeCryptoProvider;
afterEach(() => provider.close());

async function keyPair(group: number): Promise<{ publicValue: Uint8Array; privateKey: PrivateKey }> {
  const result = await provider.run({ kind: "generate-key-pair", group });
  if (result.kind !== "key-pair") throw new Error(JSON.stringify(result));
  return result;
}

const agree = (group: number, privateKey: PrivateKey, peerPublicValue: Uint8Array): Promise<ComputeResult> =>
  provider.run({ kind: "agree", group, privateKey, peerPublicValue });

describe.each([...SUPPORTED_GROUPS])("group %d", (group) => {
  test("two key pairs agree, a refused value is a reason, and a key agrees once", async () => {
    provider = new NodeCryptoProvider();
    const [a, b] = await Promise.all([keyPair(group), keyPair(group)]);
    const refused = await agree(group, a.privateKey, new Uint8Array(a.publicValue.length));
    expect(refused).toMatchObject({
      kind: "failed",
      reason: expect.stringMatching(/^(MODP|ECP|CURVE)\w+: the /),
    });

    const datagram = new Uint8Array([...b.publicValue]);
    const pending = agree(group, a.privateKey, datagram);
    datagram.fill(0); // the buffer that the value was a view of is used again
    const first = await pending;
    const second = await agree(group, b.privateKey, a.publicValue);
    expect(first.kind).toBe("shared-secret");
    expect(second).toEqual(first);
    expect(await agree(group, a.privateKey, b.publicValue)).toMatchObject({
      kind: "failed",
      reason: expect.stringContaining("the private key has been used"),
    });
  });
});

test("a point off the curve is refused from the thread, too", async () => {
  provider = new NodeCryptoProvider();
  const { privateKey, publicValue } = await keyPair(20);
  const value = publicValue.slice();
  value[95]! ^= 1;
  expect(await agree(20, privateKey, value)).toEqual({
    kind: "failed",
    reason: "ECP_384: the public value is not a point of the curve, or one of small order",
  });
});

test("a missing group and a key of another group are failures, not exceptions", async () => {
  provider = new NodeCryptoProvider();
  expect(await provider.run({ kind: "generate-key-pair", group: 5 })).toEqual({
    kind: "failed",
    reason: "MODP_1536: this build lacks the group",
  });
  const { privateKey, publicValue } = await keyPair(31);
  expect(await agree(19, privateKey, new Uint8Array(64))).toMatchObject({ kind: "failed" });
  expect(await agree(31, {} as PrivateKey, publicValue)).toMatchObject({ kind: "failed" });
});

test("a full queue fails at once, and what was taken is still done", async () => {
  provider = new NodeCryptoProvider({ workerCount: 1, queueLimit: 2 });
  const results = await Promise.all(
    Array.from({ length: 6 }, () => provider.run({ kind: "generate-key-pair", group: 14 })),
  );
  // One is with the thread, two wait.
  expect(results.map(({ kind }) => kind)).toEqual([
    "key-pair",
    "key-pair",
    "key-pair",
    "failed",
    "failed",
    "failed",
  ]);
  expect(results[3]).toEqual({ kind: "failed", reason: "MODP_2048: 2 key exchanges are waiting already" });
  expect((await keyPair(14)).publicValue).toHaveLength(256);
});

test("slow groups leave the calling thread free", async () => {
  provider = new NodeCryptoProvider({ workerCount: 1 });
  await keyPair(18); // the thread has started
  const order: string[] = [];
  const slow = keyPair(18).then(() => order.push("MODP_8192"));
  const quick = keyPair(31).then(() => order.push("CURVE25519"));
  await Promise.all([slow, quick]);
  expect(order).toEqual(["CURVE25519", "MODP_8192"]);
});

test("a job that waits keeps the public value that it was given", async () => {
  provider = new NodeCryptoProvider({ workerCount: 1 });
  const [a, b] = [await keyPair(14), await keyPair(14)];
  const expected = await agree(14, b.privateKey, a.publicValue);
  const ahead = keyPair(18);
  const waiting = agree(14, a.privateKey, b.publicValue);
  b.publicValue.fill(0); // the datagram's buffer is used again
  await ahead;
  expect(await waiting).toEqual(expected);
});

test.each([14, 19, 31, 32])(
  "no pair of group %i is made to answer a public value that is no good for certain",
  async (group) => {
    provider = new NodeCryptoProvider({ workerCount: 1, queueLimit: 0 });
    const short = { kind: "respond", group, peerPublicValue: new Uint8Array(31) } as const;
    expect(await provider.run(short)).toMatchObject({ reason: expect.stringContaining("31 octets") });
    if (group !== 14) return;
    // 0, 1 and what is at least the modulus: RFC 6989 section 2.1. Nothing of it came as far as the queue, which is full.
    for (const peerPublicValue of [new Uint8Array(256), new Uint8Array(256).fill(0xff)]) {
      const result = await provider.run({ kind: "respond", group, peerPublicValue });
      expect(result).toMatchObject({ reason: expect.stringContaining("public value") });
    }
    expect(await provider.run({ kind: "generate-key-pair", group })).toMatchObject({
      reason: expect.stringContaining("waiting already"),
    });
  },
);

test.each([...SUPPORTED_GROUPS])("who answers in group %d has what the initiator comes to", async (group) => {
  provider = new NodeCryptoProvider();
  const { privateKey, publicValue } = await keyPair(group);
  const answer = await provider.run({ kind: "respond", group, peerPublicValue: publicValue });
  if (answer.kind !== "response") throw new Error(JSON.stringify(answer));
  expect(await agree(group, privateKey, answer.publicValue)).toEqual({
    kind: "shared-secret",
    sharedSecret: answer.sharedSecret,
  });
});

test("closing fails what waits and what comes later", async () => {
  provider = new NodeCryptoProvider({ workerCount: 1 });
  const waiting = [keyPair(18), keyPair(18)].map((pair) => pair.catch((error: Error) => error.message));
  await provider.close();
  for (const message of await Promise.all(waiting)) expect(message).toContain("closed");
  expect(await provider.run({ kind: "generate-key-pair", group: 14 })).toMatchObject({ kind: "failed" });
  expect(await provider.run({ kind: "generate-key-pair", group: 31 })).toMatchObject({ kind: "key-pair" });
});

test("a private key shows nothing when it is printed", async () => {
  provider = new NodeCryptoProvider();
  const { privateKey } = await keyPair(14);
  expect(inspect(privateKey, { depth: 9, showHidden: true })).toBe("NodePrivateKey { group: 14 }");
  expect(JSON.stringify(privateKey)).toBe('{"group":14}');
});
