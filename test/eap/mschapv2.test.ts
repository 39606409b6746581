import { describe, expect, test } from "vitest";
import { concat } from "../../src/bytes/concat.ts";
import { ntHash } from "../../src/crypto/nt-hash.ts";
import { ntResponse } from "../../src/eap/mschapv2/formulas.ts";
import {
  decodeChallenge,
  decodeFailure,
  encodeFailure,
  encodeResponse,
  encodeSuccess,
  OpCode,
} from "../../src/eap/mschapv2/packets.ts";
import type { EapStep } from "../../src/eap/session.ts";
import { EapCode, EapType } from "../../src/iana/eap.ts";
import {
  ANNA,
  converse,
  OPEN_GUARD,
  passwordClient,
  passwordServer,
  request,
  response,
  result,
} from "./conversation.ts";

const MSCHAPV2 = EapType.MS_EAP_AUTHENTICATION;
const text = (value: string) => new TextEncoder().encode(value);

describe("two of us", () => {
  test("log in: both ends have the same 64 octets, and the server knows by its own name who came", async () => {
    const { client, server, packets } = await converse(
      passwordServer(),
      passwordClient("OFFICE\\Anna", "open sesame"),
    );
    expect(server).toMatchObject({ kind: "success", identity: "anna" });
    expect(client).toMatchObject({ kind: "success", identity: "OFFICE\\Anna" });
    const msk = server?.kind === "success" ? server.msk : undefined;
    expect(msk).toHaveLength(64);
    expect(client.kind === "success" && client.msk).toEqual(msk);
    // --> Identity  <-- Challenge  --> Response  <-- Success  --> Success  <-- EAP-Success
    expect(packets.map((packet) => [packet[0], packet[4], packet[5]])).toEqual([
      [EapCode.REQUEST, EapType.IDENTITY, undefined],
      [EapCode.RESPONSE, EapType.IDENTITY, 0x4f],
      [EapCode.REQUEST, MSCHAPV2, OpCode.CHALLENGE],
      [EapCode.RESPONSE, MSCHAPV2, OpCode.RESPONSE],
      [EapCode.REQUEST, MSCHAPV2, OpCode.SUCCESS],
      [EapCode.RESPONSE, MSCHAPV2, OpCode.SUCCESS],
      [EapCode.SUCCESS, undefined, undefined],
    ]);
  });

  test("with a wrong password do not, and each end says why to its own log", async () => {
    const { client, server } = await converse(passwordServer(), passwordClient("anna", "open barley"));
    expect(server).toMatchObject({ kind: "failure", reason: 'wrong password for "anna"' });
    expect(client).toMatchObject({
      kind: "failure",
      reason: 'wrong user name or password (E=691, "Authentication failed")',
    });
  });

  test("hear that an account is disabled or a password has expired only with the right password", async () => {
    const end = async (user: string, password: string) =>
      (await converse(passwordServer(), passwordClient(user, password))).client;
    expect(await end("dora", "closed")).toMatchObject({
      reason: expect.stringContaining("this account is disabled (E=647"),
    });
    expect(await end("eve", "stale")).toMatchObject({
      reason: expect.stringContaining("the password has expired (E=648"),
    });
    expect(await end("dora", "guess")).toEqual(await end("anna", "guess"));
  });

  test("a user that does not exist gets the same octets as a wrong password", async () => {
    const unknown = await converse(passwordServer(), passwordClient("nobo", "x"));
    const wrong = await converse(passwordServer(), passwordClient("anna", "x"));
    const fromServer = (packets: readonly Uint8Array[]) => packets.filter((_, i) => i % 2 === 0);
    expect(fromServer(unknown.packets)).toEqual(fromServer(wrong.packets));
    expect(unknown.server).toMatchObject({ reason: 'unknown user for "nobo"' });
  });
});

describe("the server", () => {
  test("allows two more tries, each under a new challenge, and a right password among them is taken", async () => {
    const { session, challenge, identifier } = await challenged();
    const first = answer({ challenge, identifier, password: "one" });
    const refused = sent(await session.receive(first));
    const failure = decodeFailure(refused.subarray(5));
    expect(failure).toMatchObject({ error: 691, mayRetry: true });
    const next = challengeOf(refused);
    expect(next).not.toEqual(challenge);
    const again = answer({ challenge: next, identifier: refused[1]!, password: "open sesame" });
    expect(sent(await session.receive(again))[5]).toBe(OpCode.SUCCESS);
  });

  test("takes no answer to an old challenge, and ends after three wrong ones with EAP-Failure", async () => {
    const { session, challenge, identifier } = await challenged();
    let step: EapStep = { kind: "ignore" };
    let at = identifier;
    for (const password of ["one", "open sesame", "open sesame"]) {
      step = await session.receive(answer({ challenge, identifier: at, password }));
      if (step.kind === "send") at = step.packet[1]!;
    }
    expect(step).toEqual({
      kind: "failure",
      packet: result(EapCode.FAILURE, at),
      reason: 'wrong password for "anna"',
    });
    expect(await session.receive(answer({ challenge, identifier: at, password: "open sesame" }))).toEqual({
      kind: "ignore",
    });
  });

  test.each([
    // CVE-2015-8023 of strongSwan: a success response instead of an answer to the challenge.
    ["a success response before the challenge is answered", Uint8Array.of(OpCode.SUCCESS)],
    ["a failure response", Uint8Array.of(OpCode.FAILURE)],
    ["nothing", new Uint8Array(0)],
    ["an OpCode of another world", Uint8Array.of(99)],
    ["a response that is cut off", encodeResponse({ id: 1, ...zeroResponse("anna") }).subarray(0, 40)],
    ["a name of 257 octets", encodeResponse({ id: 1, ...zeroResponse("a".repeat(257)) })],
  ])("refuses %s", async (_, data) => {
    const { session, identifier } = await challenged();
    expect(await session.receive(response(identifier, MSCHAPV2, data))).toMatchObject({
      kind: "failure",
      packet: result(EapCode.FAILURE, identifier),
    });
  });

  test("refuses to change a password, and says so by its code", async () => {
    const { session, identifier } = await challenged();
    const change = concat(Uint8Array.of(OpCode.CHANGE_PASSWORD, 1, 2, 0x4a), new Uint8Array(582));
    const refused = sent(await session.receive(response(identifier, MSCHAPV2, change)));
    expect(decodeFailure(refused.subarray(5))).toMatchObject({ error: 709, mayRetry: false });
    expect(await session.receive(response(refused[1]!, MSCHAPV2, change))).toMatchObject({ kind: "failure" });
  });

  test("lets nobody log in as another than was told as identity", async () => {
    const { session, challenge, identifier } = await challenged("dora");
    const step = await session.receive(answer({ challenge, identifier, password: "open sesame" }));
    expect(decodeFailure(sent(step).subarray(5))).toMatchObject({ error: 691 });
  });

  test("does not look at an attempt that the guard holds back", async () => {
    const asked: unknown[] = [];
    const admits = (attempt: unknown) => asked.push(attempt) > 1;
    const server = passwordServer({ ...OPEN_GUARD, admits });
    const { server: end } = await converse(server, passwordClient("Anna", "open sesame"));
    expect(end).toMatchObject({ kind: "failure", reason: 'too many attempts for "anna"' });
    expect(asked).toEqual([{ user: "anna", address: "192.0.2.7" }]);
  });
});

describe("the client", () => {
  test("takes no EAP-Success before the server has shown that it knows the password", () => {
    // CVE-2021-45079 of strongSwan.
    const early = passwordClient("anna", "open sesame");
    expect(early.receive(result(EapCode.SUCCESS))).toMatchObject({ kind: "failure" });
    const answered = passwordClient("anna", "open sesame");
    answered.receive(request(1, MSCHAPV2, challengeData));
    expect(answered.receive(result(EapCode.SUCCESS, 1))).toEqual({
      kind: "failure",
      reason: "EAP-Success came before it was due",
    });
  });

  test("takes no success from a server that does not know the password", () => {
    const client = passwordClient("anna", "open sesame");
    client.receive(request(1, MSCHAPV2, challengeData));
    const forged = encodeSuccess({ id: 1, authenticatorResponse: new Uint8Array(20) });
    expect(client.receive(request(2, MSCHAPV2, forged))).toEqual({
      kind: "failure",
      reason: "the server does not know the password",
    });
    expect(client.receive(result(EapCode.SUCCESS, 2))).toEqual({ kind: "ignore" });
  });

  test.each([
    // CVE-2025-62291 of strongSwan: a failure request shorter than its header.
    ["a failure of one octet", Uint8Array.of(OpCode.FAILURE)],
    ["a failure of four octets", Uint8Array.of(OpCode.FAILURE, 1, 0, 4)],
    ["a failure with a wrong length", Uint8Array.of(OpCode.FAILURE, 1, 0xff, 0xff, 0x45)],
    ["a success without a message", Uint8Array.of(OpCode.SUCCESS, 1, 0, 4)],
    ["a success of 39 digits", framed(OpCode.SUCCESS, `S=${"0".repeat(39)} M=x`)],
    ["another challenge", challengeDataOf(16)],
  ])("refuses %s", (_, data) => {
    const client = passwordClient("anna", "open sesame");
    client.receive(request(1, MSCHAPV2, challengeData));
    expect(client.receive(request(2, MSCHAPV2, data))).toMatchObject({ kind: "failure" });
  });

  test.each([
    ["of no octets", new Uint8Array(0)],
    ["whose value is 8 octets", challengeDataOf(8)],
    ["without its value", Uint8Array.of(OpCode.CHALLENGE, 1, 0, 5, 16)],
  ])("refuses a challenge %s", (_, data) => {
    const client = passwordClient("anna", "open sesame");
    expect(client.receive(request(1, MSCHAPV2, data))).toMatchObject({ kind: "failure" });
  });

  test("shows of a server's message only what may be printed", () => {
    const client = passwordClient("anna", "open sesame");
    client.receive(request(1, MSCHAPV2, challengeData));
    const said = framed(OpCode.FAILURE, `E=691 R=0 C=${"0".repeat(32)} V=3 M=no\u001b[2J\nway`);
    expect(sent(client.receive(request(2, MSCHAPV2, said)) as EapStep)[5]).toBe(OpCode.FAILURE);
    expect(client.receive(result(EapCode.FAILURE, 2))).toEqual({
      kind: "failure",
      reason: 'wrong user name or password (E=691, "no [2J way")',
    });
  });
});

test("failure codes of servers with fewer fields are understood", () => {
  expect(decodeFailure(framed(OpCode.FAILURE, "E=649"))).toEqual({
    error: 649,
    mayRetry: false,
    message: "",
  });
  const full = encodeFailure({ id: 9, error: 691, mayRetry: true, challenge: new Uint8Array(16) });
  expect(new TextDecoder().decode(full.subarray(4))).toBe(
    `E=691 R=1 C=${"0".repeat(32)} V=3 M=Authentication failed`,
  );
});

/** A server that waits for the answer to its challenge. */
async function challenged(identity = "anna") {
  const { session, first } = passwordServer().begin({ address: "192.0.2.7" });
  const packet = sent(await session.receive(response(first[1]!, EapType.IDENTITY, text(identity))));
  const challenge = decodeChallenge(packet.subarray(5))!.challenge;
  return { session, challenge, identifier: packet[1]! };
}

function answer({
  challenge,
  identifier,
  password,
}: {
  readonly challenge: Uint8Array;
  readonly identifier: number;
  readonly password: string;
}): Uint8Array {
  const peerChallenge = new Uint8Array(16).fill(9);
  const name = text(ANNA.name);
  const exchange = { authenticatorChallenge: challenge, peerChallenge, name };
  const proof = ntResponse(exchange, ntHash(password));
  return response(
    identifier,
    MSCHAPV2,
    encodeResponse({ id: identifier, peerChallenge, ntResponse: proof, name }),
  );
}

function zeroResponse(name: string) {
  return { peerChallenge: new Uint8Array(16), ntResponse: new Uint8Array(24), name: text(name) };
}

/** The challenge that a failure request carries for the next try. */
function challengeOf(packet: Uint8Array): Uint8Array {
  const digits = /C=([0-9A-F]{32})/.exec(new TextDecoder("latin1").decode(packet))![1]!;
  return Uint8Array.from(Buffer.from(digits, "hex"));
}

function sent(step: EapStep): Uint8Array {
  if (step.kind !== "send") throw new Error(`${step.kind}: ${JSON.stringify(step)}`);
  return step.packet;
}

function framed(opCode: number, message: string): Uint8Array {
  const length = 4 + message.length;
  return concat(Uint8Array.of(opCode, 1, length >>> 8, length & 0xff), text(message));
}

function challengeDataOf(valueSize: number): Uint8Array {
  const length = 5 + valueSize + 2;
  return concat(
    Uint8Array.of(OpCode.CHALLENGE, 1, 0, length, valueSize),
    new Uint8Array(valueSize),
    text("gw"),
  );
}

const challengeData = challengeDataOf(16);
