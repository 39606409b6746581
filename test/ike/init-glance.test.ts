import { expect, test } from "vitest";
import { NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { encodeCookieDemand } from "../../src/ike/cookie-demand.ts";
import { glanceAtInit } from "../../src/ike/init-glance.ts";
import { notify } from "../../src/ike/payloads.ts";
import { TokenBucket } from "../../src/ike/token-bucket.ts";
import { decodeMessage, encodeMessage } from "../../src/wire/message.ts";
import { initiatorPolicy, pair, ScriptedPeer, SeededRandom } from "../support/simulator/index.ts";

const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 1 });

test("a glance finds the nonce and the cookie that decoding finds", () => {
  const cookie = new SeededRandom(1).bytes(32);
  for (const payloads of [
    peer.initPayloads(),
    [notify(NotifyType.COOKIE, cookie), ...peer.initPayloads()],
    [...peer.initPayloads(), notify(NotifyType.COOKIE, cookie)],
  ]) {
    const octets = peer.init({ payloads });
    const decoded = decodeMessage(octets).payloads;
    const ni = decoded.find((payload) => payload.kind === "nonce");
    const hasCookie = payloads.length > peer.initPayloads().length;
    expect(glanceAtInit(octets)).toEqual({ ni: ni?.nonce, cookie: hasCookie ? cookie : undefined });
  }
});

test("whatever a glance passes over, decoding refuses or has no nonce in, and it never reads past the end", () => {
  const random = new SeededRandom(2);
  const request = peer.init({
    payloads: [notify(NotifyType.COOKIE, random.bytes(8)), ...peer.initPayloads()],
  });
  let [passed, refused] = [0, 0];
  for (let i = 0; i < 20_000; i++) {
    const octets = request.slice(
      0,
      random.below(4) === 0 ? 28 + random.below(request.length - 28) : undefined,
    );
    for (let k = random.below(4); k > 0; k--)
      octets[16 + random.below(octets.length - 16)] = random.below(256);
    new DataView(octets.buffer).setUint32(24, octets.length);
    octets[17] = 0x20;
    const glance = glanceAtInit(octets);
    if (typeof glance !== "string") passed++;
    else if (!hasNonce(octets)) refused++;
    else throw new Error(`${glance}, but it decodes: ${Buffer.from(octets).toString("hex")}`);
  }
  expect(passed).toBeGreaterThan(1000);
  expect(refused).toBeGreaterThan(1000);
});

test("nothing behind the nonce is decoded for somebody who has to show a cookie", () => {
  const { responder, link } = pair({ seed: 3, limits: { cookieThresholdCount: 0 } });
  const octets = peer.init();
  // A proposal that makes no sense: its length is longer than the payload.
  octets[34] = 0xff;
  peer.send(responder, octets);
  expect(responder.endpoint.counters).toMatchObject({ cookiesDemanded: 1, malformed: 0 });
  expect(link.take().octets.length).toBeLessThan(octets.length);
});

test("a bucket of nothing lets nothing through", () => {
  const bucket = new TokenBucket(0);
  expect([bucket.take(0), bucket.take(1e9)]).toEqual([false, false]);
});

function hasNonce(octets: Uint8Array): boolean {
  try {
    return decodeMessage(octets).payloads.some(({ kind }) => kind === "nonce");
  } catch {
    return false;
  }
}

test("the demand for a cookie is laid out as any other message", () => {
  const request = peer.init();
  const header = decodeMessage(request).header;
  for (const length of [1, 32, 64]) {
    const cookie = new SeededRandom(length).bytes(length);
    const encoded = encodeMessage({
      ...{ initiatorSpi: header.initiatorSpi, responderSpi: 0n, exchangeType: 34, messageId: 0 },
      ...{ isInitiator: false, isResponse: true, payloads: [notify(NotifyType.COOKIE, cookie)] },
    });
    expect(encodeCookieDemand(request, cookie)).toEqual(encoded);
  }
});
