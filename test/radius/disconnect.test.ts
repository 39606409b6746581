import { createHash, createHmac } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { fromHex } from "../../src/bytes/hex.ts";
import { ErrorCause, RadiusAttribute, RadiusCode } from "../../src/iana/radius.ts";
import type { AccountedSession } from "../../src/radius/accounting-record.ts";
import { type DisconnectRights, DisconnectServer, type Unheard } from "../../src/radius/disconnect-server.ts";
import {
  type Attribute,
  decodeRadius,
  encodeRadius,
  integerAttribute,
  integerOf,
  textAttribute,
  valuesOf,
} from "../../src/radius/packet.ts";

const A = RadiusAttribute;
const SECRET = Buffer.from("between server and gateway");
const FROM = "192.0.2.10";
const START = 1_700_000_000;
const NOW = START + 1000;

const sessions: readonly AccountedSession[] = [
  {
    id: "a1",
    multiId: "a1",
    user: "anna",
    addresses: ["10.77.0.7", "fd77::7"],
    remoteAddress: "198.51.100.7",
    class: [Uint8Array.of(9)],
  },
  {
    id: "a2",
    multiId: "a2",
    user: "anna",
    addresses: ["10.77.0.8"],
    remoteAddress: "198.51.100.8",
    class: [],
  },
  {
    id: "b1",
    multiId: "b1",
    user: "berta",
    addresses: ["10.77.0.9"],
    remoteAddress: "198.51.100.8",
    class: [],
  },
];

const rights: DisconnectRights = {
  clients: [{ address: FROM, secret: SECRET }],
  nasIdentifier: "vpn.example.org",
  isOwnAddress: (address) => address === "192.0.2.1" || address === "2001:db8::1",
};

let seconds: number;
let hasTime: boolean;
let present: readonly AccountedSession[];
let ended: string[];
let server: DisconnectServer;

beforeEach(() => {
  ended = [];
  present = sessions;
  hasTime = true;
  server = serverThatRemembers(undefined);
});

function serverThatRemembers(most: number | undefined): DisconnectServer {
  seconds = START;
  const made = new DisconnectServer({
    wallClock: () => seconds * 1000,
    hasTime: () => hasTime,
    end: (isMeant) => {
      const meant = present.filter(isMeant);
      ended.push(...meant.map(({ id }) => id));
      return meant.length;
    },
    ...(most !== undefined && { most }),
  });
  seconds = NOW;
  return made;
}

interface Request {
  readonly code?: number;
  readonly identifier?: number;
  readonly secret?: Uint8Array;
  readonly stamp?: number | undefined;
  readonly attributes: readonly Attribute[];
}

/** By the words of RFC 5176 section 3.4: Message-Authenticator first, over zeros, then the Request Authenticator. */
function request({
  code = 40,
  identifier = 7,
  secret = SECRET,
  attributes,
  ...more
}: Request): Uint8Array<ArrayBuffer> {
  const stamp = "stamp" in more ? more.stamp : seconds;
  const packet = Buffer.from(
    encodeRadius({
      code,
      identifier,
      authenticator: new Uint8Array(16),
      attributes: [
        { type: 80, value: new Uint8Array(16) },
        ...attributes,
        ...(stamp === undefined ? [] : [integerAttribute(A.EVENT_TIMESTAMP, stamp)]),
      ],
    }),
  );
  packet.set(createHmac("md5", secret).update(packet).digest(), 22);
  return new Uint8Array(resign(packet, secret));
}

function resign(packet: Buffer, secret: Uint8Array = SECRET): Buffer {
  packet.fill(0, 4, 20);
  packet.set(createHash("md5").update(packet).update(secret).digest(), 4);
  return packet;
}

const byUser = (user: string): readonly Attribute[] => [textAttribute(A.USER_NAME, user)];
const byId = (id: string): readonly Attribute[] => [textAttribute(A.ACCT_SESSION_ID, id)];

function silenceOf(octets: Uint8Array, from = FROM): Unheard | "an answer" {
  const outcome = server.receive(octets, from, rights);
  return outcome.kind === "silence" ? outcome.reason : "an answer";
}

/** Code and Error-Cause of an answer that its request's sender takes. */
function answerTo(octets: Uint8Array): { readonly code: number; readonly cause: number | undefined } {
  const outcome = server.receive(octets, FROM, rights);
  if (outcome.kind === "silence") throw new Error(`silence: ${outcome.reason}`);
  const answer = Buffer.from(outcome.octets);
  const asSigned = Buffer.from(answer);
  asSigned.set(octets.subarray(4, 20), 4);
  const response = createHash("md5").update(asSigned).update(SECRET).digest();
  expect(answer.subarray(4, 20)).toEqual(response);
  asSigned.fill(0, 22, 38);
  expect(answer.subarray(20, 38)).toEqual(
    Buffer.concat([Buffer.of(80, 18), createHmac("md5", SECRET).update(asSigned).digest()]),
  );
  const { code, identifier, attributes } = decodeRadius(answer)!;
  expect(identifier).toBe(octets[1]);
  return { code, cause: integerOf(valuesOf(attributes, A.ERROR_CAUSE)[0]) };
}

const ACK = { code: RadiusCode.DISCONNECT_ACK, cause: undefined };
const nak = (cause: number) => ({ code: RadiusCode.DISCONNECT_NAK, cause });

/** What FreeRADIUS' radclient 3.2.1 sends with this secret for anna's session a1 at 10.77.0.7, at 1700001000. */
const RADCLIENT = fromHex(`287f0040 0f8d514613f342f9f0728891f3d5880a 0106616e6e61 2c046131 08060a4d0007
  21040102 37066553f4e8 5012b6fd3f21e4b203baf3fb5f413944aa1e`);

test("the octets of another implementation are understood", () => {
  expect(answerTo(RADCLIENT)).toEqual(ACK);
  expect(ended).toEqual(["a1"]);
});

describe("a Disconnect-Request", () => {
  test.each([
    ["User-Name", byUser("anna"), ["a1", "a2"]],
    ["Acct-Session-Id", byId("a2"), ["a2"]],
    ["Framed-IP-Address", [{ type: 8, value: Uint8Array.of(10, 77, 0, 9) }], ["b1"]],
    ["Framed-IPv6-Address", [{ type: 168, value: fromHex("fd77000000000000 0000000000000007") }], ["a1"]],
    ["Calling-Station-Id", [textAttribute(31, "198.51.100.8")], ["a2", "b1"]],
    ["Class", [{ type: 25, value: Uint8Array.of(9) }], ["a1"]],
    ["what all fits", [...byUser("anna"), textAttribute(31, "198.51.100.8")], ["a2"]],
  ] as const)("by %s ends those sessions", (_, attributes, ids) => {
    expect(answerTo(request({ attributes }))).toEqual(ACK);
    expect(ended).toEqual(ids);
  });

  test("that speaks to us by our names is for us", () => {
    const names = [
      textAttribute(A.NAS_IDENTIFIER, "vpn.example.org"),
      { type: A.NAS_IP_ADDRESS, value: Uint8Array.of(192, 0, 2, 1) },
      integerAttribute(A.NAS_PORT_TYPE, 5),
    ];
    expect(answerTo(request({ attributes: [...byUser("berta"), ...names] }))).toEqual(ACK);
    expect(ended).toEqual(["b1"]);
  });

  test.each([
    ["whose attributes belong to two sessions", [...byUser("anna"), ...byId("b1")], 503],
    ["for nobody who is here", byUser("Anna"), 503],
    ["for a user and another's address", [...byUser("anna"), { type: 8, value: Uint8Array.of(10) }], 503],
    ["that names no session", [], 402],
    ["with an attribute that we know nothing of", [...byUser("anna"), textAttribute(30, "gateway")], 401],
    ["with State", [...byUser("anna"), textAttribute(A.STATE, "x")], 401],
    ["that wants to authorize", [...byUser("anna"), integerAttribute(A.SERVICE_TYPE, 17)], 405],
    ["for another gateway", [...byUser("anna"), textAttribute(A.NAS_IDENTIFIER, "vpn.example.com")], 403],
    [
      "for another gateway's address",
      [...byUser("anna"), { type: A.NAS_IP_ADDRESS, value: Uint8Array.of(192, 0, 2, 2) }],
      403,
    ],
  ] as const)("%s is refused with Error-Cause %#", (_, attributes, cause) => {
    expect(answerTo(request({ attributes }))).toEqual(nak(cause));
    expect(ended).toEqual([]);
  });

  test("without Event-Timestamp is refused, since it might come again", () => {
    expect(answerTo(request({ attributes: byUser("anna"), stamp: undefined }))).toEqual(
      nak(ErrorCause.MISSING_ATTRIBUTE),
    );
    expect(ended).toEqual([]);
  });

  test("gets its Proxy-States back, in order, unless they leave no room for an answer", () => {
    const states = [1, 2, 3].map((octet) => ({ type: A.PROXY_STATE, value: Uint8Array.of(octet) }));
    const octets = request({ attributes: [...byUser("anna"), ...states] });
    const outcome = server.receive(octets, FROM, rights);
    if (outcome.kind !== "answer") throw new Error(outcome.reason);
    expect(valuesOf(decodeRadius(outcome.octets)!.attributes, A.PROXY_STATE)).toEqual(
      states.map(({ value }) => value),
    );
    const much = Array.from({ length: 16 }, () => ({ type: A.PROXY_STATE, value: new Uint8Array(250) }));
    const full = request({ attributes: [...much, ...byUser("x")], stamp: undefined });
    expect(answerTo(full)).toEqual(nak(ErrorCause.MISSING_ATTRIBUTE));
  });
});

test("a CoA-Request is refused", () => {
  expect(answerTo(request({ code: 43, attributes: byUser("anna") }))).toEqual({
    code: RadiusCode.COA_NAK,
    cause: ErrorCause.UNSUPPORTED_EXTENSION,
  });
  expect(ended).toEqual([]);
});

describe("nothing is heard", () => {
  test("from who is not configured, or has another secret", () => {
    expect(silenceOf(request({ attributes: byUser("anna") }), "192.0.2.11")).toBe("from a stranger");
    expect(silenceOf(request({ attributes: byUser("anna"), secret: Buffer.from("another") }))).toBe("forged");
    expect(ended).toEqual([]);
  });

  test("without exactly one Message-Authenticator, whatever the Request Authenticator says", () => {
    const genuine = request({ attributes: byUser("anna") });
    const without = Buffer.concat([genuine.subarray(0, 20), genuine.subarray(38)]);
    without.writeUInt16BE(without.length, 2);
    const twice = Buffer.concat([genuine, genuine.subarray(20, 38)]);
    twice.writeUInt16BE(twice.length, 2);
    for (const packet of [without, twice]) expect(silenceOf(resign(packet))).toBe("forged");
    expect(ended).toEqual([]);
  });

  test("with any octet changed, or cut off", () => {
    const genuine = request({ attributes: byUser("anna") });
    for (let at = 0; at < genuine.length; at++) {
      const changed = genuine.slice();
      changed[at] = changed[at]! ^ 1;
      expect(silenceOf(changed)).toMatch(/forged|malformed/);
      expect(silenceOf(genuine.subarray(0, at))).toBe("malformed");
    }
    expect(ended).toEqual([]);
  });

  test("whose Event-Timestamp is not of now, or from before we began to listen", () => {
    for (const stamp of [NOW - 301, NOW + 301, 0]) {
      expect(silenceOf(request({ attributes: byUser("anna"), stamp }))).toBe("out of time");
    }
    seconds = START + 100;
    expect(silenceOf(request({ attributes: byUser("anna"), stamp: START - 100 }))).toBe("out of time");
    expect(ended).toEqual([]);
    expect(silenceOf(request({ attributes: byUser("anna"), stamp: START + 1 }))).toBe("an answer");
  });

  test("while there is no time to look closely", () => {
    hasTime = false;
    expect(silenceOf(request({ attributes: byUser("anna") }))).toBe("too many");
    // These take none.
    expect(silenceOf(request({ attributes: byUser("anna") }), "192.0.2.11")).toBe("from a stranger");
    expect(silenceOf(Uint8Array.of(40))).toBe("malformed");
  });
});

describe("a request that comes again", () => {
  test("gets the same answer, and ends nothing", () => {
    const octets = request({ attributes: byUser("anna") });
    const first = server.receive(octets, FROM, rights);
    expect(first.kind).toBe("answer");
    ended = [];
    seconds = NOW + 300;
    expect(server.receive(octets, FROM, rights)).toEqual(first);
    seconds = NOW + 301;
    expect(silenceOf(octets)).toBe("out of time");
    expect(ended).toEqual([]);
  });

  test("does so although it was refused the first time", () => {
    const octets = request({ attributes: byUser("carla") });
    expect(answerTo(octets)).toEqual(nak(ErrorCause.SESSION_CONTEXT_NOT_FOUND));
    present = [...sessions, { ...sessions[0]!, id: "c1", user: "carla" }];
    expect(answerTo(octets)).toEqual(nak(ErrorCause.SESSION_CONTEXT_NOT_FOUND));
    expect(answerTo(request({ identifier: 8, attributes: byUser("carla") }))).toEqual(ACK);
  });

  test("is remembered for as long as it could, however many there are: further ones have to wait", () => {
    server = serverThatRemembers(3);
    const many = [0, 1, 2].map((identifier) => request({ identifier, attributes: byUser("anna") }));
    for (const octets of many) expect(answerTo(octets)).toEqual(ACK);
    const next = { identifier: 3, attributes: byUser("berta") };
    ended = [];
    expect(answerTo(request(next))).toEqual(nak(ErrorCause.RESOURCES_UNAVAILABLE));
    for (const octets of many) expect(answerTo(octets)).toEqual(ACK);
    expect(ended).toEqual([]);
    seconds = NOW + 301;
    expect(answerTo(request(next))).toEqual(ACK);
    expect(ended).toEqual(["b1"]);
  });
});
