import { createHash, createHmac } from "node:crypto";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { concat } from "../../src/bytes/concat.ts";
import { encodeEapPacket } from "../../src/eap/packet.ts";
import { EapCode, EapType } from "../../src/iana/eap.ts";
import { RadiusAttribute, RadiusCode } from "../../src/iana/radius.ts";
import { mskOf } from "../../src/radius/mppe-keys.ts";
import {
  type Attribute,
  decodeRadius,
  encodeRadius,
  integerAttribute,
  valuesOf,
} from "../../src/radius/packet.ts";
import { RadiusClient, type RadiusServer } from "../../src/radius/radius-client.ts";
import { radiusEapServer } from "../../src/radius/radius-eap-server.ts";
import { countedRandom, request, response, result } from "../eap/conversation.ts";
import { type Answering, type Spoil, startFakeServer } from "./fake-server.ts";

const SECRET = Buffer.from("between us");
const { ACCESS_REQUEST, ACCESS_ACCEPT, ACCESS_REJECT, ACCESS_CHALLENGE } = RadiusCode;
const { EAP_MESSAGE, STATE, USER_NAME, REPLY_MESSAGE } = RadiusAttribute;
const text = (value: string) => new TextEncoder().encode(value);

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

async function serverThat(answering: Answering) {
  const fake = await startFakeServer(SECRET, answering);
  open.push(fake);
  return fake;
}

/** More patient than a busy machine is slow, where the number of requests counts. */
function clientOf(servers: readonly RadiusServer[], patienceMs = [2_000, 2_000]) {
  let now = 0;
  const client = new RadiusClient({
    servers,
    random: countedRandom(),
    clock: { now: () => now },
    patienceMs,
  });
  open.push(client);
  return {
    client,
    wait: (ms: number) => {
      now += ms;
    },
  };
}

const QUESTION = { code: ACCESS_REQUEST, attributes: [{ type: USER_NAME, value: text("anna") }] };
const accept = { code: ACCESS_ACCEPT, attributes: [] };

describe("the client", () => {
  test("signs its requests, and hears an answer that is signed as well", async () => {
    const { server, requests } = await serverThat(() => accept);
    const { client } = clientOf([server]);
    expect(await client.ask(QUESTION)).toMatchObject({ kind: "answer", packet: { code: ACCESS_ACCEPT } });
    const [octets] = requests;
    const zeroed = octets!.slice();
    zeroed.fill(0, 22, 38);
    expect(octets!.subarray(20, 22)).toEqual(Uint8Array.of(80, 18));
    expect(Buffer.from(octets!.subarray(22, 38))).toEqual(createHmac("md5", SECRET).update(zeroed).digest());
  });

  test("sends the same octets again until it is answered", async () => {
    const { server, requests } = await serverThat((_, count) => (count === 3 ? accept : undefined));
    const { client } = clientOf([server], [30, 30, 2_000]);
    expect(await client.ask(QUESTION)).toMatchObject({ kind: "answer" });
    expect(requests).toHaveLength(3);
    expect(requests[1]).toEqual(requests[0]);
    expect(requests[2]).toEqual(requests[0]);
  });

  test.each<Spoil>(["secret", "no Message-Authenticator", "Message-Authenticator", "identifier"])(
    "takes no answer with a wrong %s, and waits for the right one",
    async (spoil) => {
      const { server, requests } = await serverThat((_, count) =>
        count === 1
          ? { code: ACCESS_ACCEPT, attributes: [], spoil }
          : { code: ACCESS_REJECT, attributes: [] },
      );
      const { client } = clientOf([server], [30, 2_000]);
      expect(await client.ask(QUESTION)).toMatchObject({ packet: { code: ACCESS_REJECT } });
      expect(requests).toHaveLength(2);
    },
  );

  test("goes on to the next server when one is silent, and for a while begins with that", async () => {
    const silent = await serverThat(() => undefined);
    const lively = await serverThat(() => accept);
    const { client, wait } = clientOf([silent.server, lively.server], [150, 150]);
    expect(await client.ask(QUESTION)).toMatchObject({ server: lively.server });
    expect(silent.requests).toHaveLength(2);
    expect(await client.ask(QUESTION)).toMatchObject({ server: lively.server });
    expect(silent.requests).toHaveLength(2);
    wait(60_000);
    await client.ask(QUESTION);
    expect(silent.requests).toHaveLength(4);
  });

  test("says whom it has asked in vain; when all are silent, all are asked again", async () => {
    const one = await serverThat(() => undefined);
    const { client } = clientOf([one.server], [10, 10]);
    for (let i = 1; i <= 2; i++) {
      expect(await client.ask(QUESTION)).toEqual({
        kind: "silence",
        reason: `no answer from RADIUS server 127.0.0.1 port ${one.server.port}`,
      });
      expect(one.requests).toHaveLength(2 * i);
    }
  });

  test("keeps more questions apart than a port of ours has identifiers", async () => {
    const { server } = await serverThat(({ attributes }) => ({
      code: ACCESS_ACCEPT,
      attributes: attributes.slice(1),
    }));
    const { client } = clientOf([server], [100, 200, 400, 800, 1_600, 3_200]);
    const ask = async (i: number) => {
      const name = text(`user${i}`);
      const answer = await client.ask({
        code: ACCESS_REQUEST,
        attributes: [{ type: USER_NAME, value: name }],
      });
      if (answer.kind !== "answer") throw new Error(answer.reason);
      expect(valuesOf(answer.packet.attributes, USER_NAME)).toEqual([name]);
    };
    await Promise.all(Array.from({ length: 270 }, (_, i) => ask(i)));
  });

  test("ends what is under way when it is closed", async () => {
    const { server } = await serverThat(() => undefined);
    const { client } = clientOf([server], [60_000]);
    const asked = client.ask(QUESTION);
    await new Promise((resolve) => setTimeout(resolve, 20));
    client.close();
    expect(await asked).toEqual({ kind: "silence", reason: "the RADIUS client was closed" });
    open.pop();
  });
});

describe("a login that is passed through", () => {
  const identity = response(1, EapType.IDENTITY, text("anna"));
  const begin = (client: RadiusClient) =>
    radiusEapServer({ client, nasIdentifier: "gw", random: countedRandom() }).begin({ address: "192.0.2.7" });
  const eap = (packet: Uint8Array): Attribute => ({ type: EAP_MESSAGE, value: packet });

  test("goes on with the State of the server that gave it, and brings its grants", async () => {
    const challenge = request(77, EapType.GTC, text("Password:"));
    const success = result(EapCode.SUCCESS, 77);
    const fake = await serverThat((_, count) =>
      count === 1
        ? { code: ACCESS_CHALLENGE, attributes: [{ type: STATE, value: text("s1") }, eap(challenge)] }
        : {
            code: ACCESS_ACCEPT,
            attributes: [
              eap(success),
              { type: USER_NAME, value: text("Anna Berg") },
              { type: RadiusAttribute.FRAMED_IP_ADDRESS, value: Uint8Array.of(10, 9, 0, 7) },
              { type: RadiusAttribute.CLASS, value: text("staff") },
              integerAttribute(RadiusAttribute.SESSION_TIMEOUT, 3600),
            ],
          },
    );
    const never = await serverThat(() => undefined);
    const { session, first } = begin(clientOf([fake.server, never.server]).client);
    expect(first).toEqual(request(1, EapType.IDENTITY, new Uint8Array(0)));
    expect(await session.receive(identity)).toEqual({ kind: "send", packet: challenge });
    const long = response(77, EapType.GTC, new Uint8Array(600).fill(7));
    expect(await session.receive(long)).toEqual({
      kind: "success",
      packet: success,
      msk: undefined,
      identity: "Anna Berg",
      grants: { address: "10.9.0.7", class: [text("staff")], sessionSeconds: 3600 },
    });
    const second = decodeRadius(fake.requests[1]!)!.attributes;
    expect(valuesOf(second, STATE)).toEqual([text("s1")]);
    const pieces = valuesOf(second, EAP_MESSAGE);
    expect(pieces.map(({ length }) => length)).toEqual([253, 253, 99]);
    expect(concat(...pieces)).toEqual(long);
    expect(valuesOf(second, RadiusAttribute.CALLING_STATION_ID)).toEqual([text("192.0.2.7")]);
    expect(never.requests).toHaveLength(0);
  });

  test.each([
    [
      "refuses",
      { code: ACCESS_REJECT, attributes: [{ type: REPLY_MESSAGE, value: text("not you") }] },
      'refuses "anna": "not you"',
    ],
    ["accepts without EAP-Success", accept, "accepts without EAP-Success"],
    [
      "accepts with EAP-Failure",
      { code: ACCESS_ACCEPT, attributes: [{ type: EAP_MESSAGE, value: result(EapCode.FAILURE) }] },
      "accepts without EAP-Success",
    ],
    [
      "challenges with EAP-Success",
      { code: ACCESS_CHALLENGE, attributes: [{ type: EAP_MESSAGE, value: result(EapCode.SUCCESS) }] },
      "without a request",
    ],
    ["answers something else", { code: 5, attributes: [] }, "answers with code 5"],
  ])("fails when the server %s", async (_, answer, reason) => {
    const { server } = await serverThat(() => answer);
    const { session } = begin(clientOf([server]).client);
    expect(await session.receive(identity)).toEqual({
      kind: "failure",
      packet: result(EapCode.FAILURE, 1),
      reason: expect.stringContaining(reason),
    });
    expect(await session.receive(identity)).toEqual({ kind: "ignore" });
  });

  test("fails when no server answers, and says so", async () => {
    const { server } = await serverThat(() => undefined);
    const { session } = begin(clientOf([server], [10]).client);
    expect(await session.receive(identity)).toMatchObject({
      kind: "failure",
      reason: expect.stringContaining("no answer from RADIUS server"),
    });
  });

  test("asks no server about what is no answer, no identity, or too long", async () => {
    const fake = await serverThat(() => ({
      code: ACCESS_CHALLENGE,
      attributes: [eap(request(2, 6, text("?")))],
    }));
    const { client } = clientOf([fake.server]);
    const { session } = begin(client);
    for (const packet of [
      response(2, EapType.IDENTITY, text("anna")),
      request(1, EapType.IDENTITY, text("a")),
      text("x"),
    ])
      expect(await session.receive(packet)).toEqual({ kind: "ignore" });
    for (const packet of [
      response(1, EapType.GTC, text("anna")),
      response(1, EapType.IDENTITY, text("an\u0000na")),
      response(1, EapType.IDENTITY, new Uint8Array(4000)),
    ])
      expect(await begin(client).session.receive(packet)).toMatchObject({ kind: "failure" });
    expect(fake.requests).toHaveLength(0);
    await session.receive(identity);
    expect(await session.receive(response(2, EapType.IDENTITY, text("dora")))).toMatchObject({
      kind: "failure",
    });
  });

  test("that is disposed of meanwhile hears nothing any more", async () => {
    const { server } = await serverThat(() => accept);
    const { session } = begin(clientOf([server]).client);
    const step = session.receive(identity);
    expect(session.receive(identity)).toEqual({ kind: "ignore" });
    session.dispose();
    expect(await step).toEqual({ kind: "ignore" });
  });
});

describe("keys in an Access-Accept", () => {
  const protection = { request: new Uint8Array(16).fill(3), secret: SECRET };
  const receive = new Uint8Array(32).fill(0xaa);
  const send = new Uint8Array(32).fill(0xbb);

  test("are the MSK: receive key, send key, and zeros", () => {
    expect(mskOf([mppe(17, receive), mppe(16, send)], protection)).toEqual(concat(receive, send));
    const short = mskOf([mppe(16, send.subarray(16)), mppe(17, receive.subarray(16))], protection);
    expect(short).toEqual(concat(receive.subarray(16), send.subarray(16), new Uint8Array(32)));
  });

  test.each([
    ["one of them missing", [mppe(17, receive)]],
    ["one of them there twice", [mppe(17, receive), mppe(17, receive), mppe(16, send)]],
    ["a length beyond the end", [mppe(17, receive, { length: 60 }), mppe(16, send)]],
    ["a length of zero", [mppe(17, receive, { length: 0 }), mppe(16, send)]],
    ["a salt without its first bit", [mppe(17, receive, { salt: 0x10 }), mppe(16, send)]],
    ["half a block", [mppe(17, receive, { cut: 5 }), mppe(16, send)]],
    ["another vendor's", [mppe(17, receive, { vendor: 9 }), mppe(16, send)]],
  ])("with %s are none", (_, attributes) => {
    expect(mskOf(attributes, protection)).toBeUndefined();
  });

  test("of any octets are keys or none", () => {
    const values = fc.uint8Array({ maxLength: 253 }).map((value) => ({ type: 26, value }));
    fc.assert(
      fc.property(fc.array(values, { maxLength: 4 }), (attributes) => {
        const msk = mskOf([...attributes, mppe(17, receive)], protection);
        expect(msk?.length ?? 64).toBe(64);
      }),
      { seed: 2548, numRuns: 500 },
    );
  });

  /** Sealed by the words of RFC 2548 section 2.4.2. */
  function mppe(
    type: number,
    key: Uint8Array,
    { length = key.length, salt = 0x90, cut = 0, vendor = 311 } = {},
  ): Attribute {
    const plain = new Uint8Array(Math.ceil((1 + key.length) / 16) * 16);
    plain.set([length]);
    plain.set(key, 1);
    const saltOctets = Uint8Array.of(salt, type);
    let previous: Uint8Array = concat(protection.request, saltOctets);
    const sealed: Uint8Array[] = [];
    for (let at = 0; at < plain.length; at += 16) {
      const pad = createHash("md5").update(SECRET).update(previous).digest();
      previous = plain.subarray(at, at + 16).map((octet, i) => octet ^ pad[i]!);
      sealed.push(previous);
    }
    const blocks = concat(...sealed);
    const value = concat(saltOctets, blocks.subarray(0, blocks.length - cut));
    return {
      type: 26,
      value: concat(Uint8Array.of(0, 0, vendor >>> 8, vendor & 0xff, type, value.length + 2), value),
    };
  }
});

describe("packets", () => {
  test("decode undoes encode, and no octets make it throw", () => {
    const attributes = fc.array(
      fc.record({ type: fc.integer({ min: 1, max: 255 }), value: fc.uint8Array({ maxLength: 253 }) }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(attributes, fc.uint8Array({ maxLength: 80 }), (some, garbage) => {
        const packet = {
          code: 1,
          identifier: 7,
          authenticator: new Uint8Array(16).fill(1),
          attributes: some,
        };
        const octets = encodeRadius(packet);
        expect(decodeRadius(octets)).toEqual(packet);
        expect(decodeRadius(concat(octets, garbage))).toEqual(packet);
        expect(decodeRadius(octets.subarray(0, octets.length - 1))).toBeUndefined();
        const any = decodeRadius(garbage);
        expect(any === undefined || any.code === garbage[0]).toBe(true);
      }),
      { seed: 2865, numRuns: 500 },
    );
  });

  test("with attributes of length 0 or 1, or over the end, are discarded", () => {
    const packet = (...body: number[]) =>
      Uint8Array.of(2, 1, 0, 20 + body.length, ...new Uint8Array(16), ...body);
    for (const body of [[1, 0], [1, 1], [1, 3], [1, 4, 0], [1]])
      expect(decodeRadius(packet(...body))).toBeUndefined();
    expect(decodeRadius(packet(1, 2))?.attributes).toEqual([{ type: 1, value: new Uint8Array(0) }]);
  });

  test("that do not fit are a mistake of ours", () => {
    const packet = { code: 1, identifier: 1, authenticator: new Uint8Array(16) };
    const piece = { type: EAP_MESSAGE, value: new Uint8Array(253) };
    expect(() => encodeRadius({ ...packet, attributes: Array.from({ length: 17 }, () => piece) })).toThrow(
      RangeError,
    );
    expect(() => encodeRadius({ ...packet, attributes: [{ type: 1, value: new Uint8Array(254) }] })).toThrow(
      RangeError,
    );
    expect(encodeEapPacket({ code: EapCode.SUCCESS, identifier: 3 })).toEqual(Uint8Array.of(3, 3, 0, 4));
  });
});
