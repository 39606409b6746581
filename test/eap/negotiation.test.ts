import { describe, expect, test } from "vitest";
import { createEapClient } from "../../src/eap/client.ts";
import { MOST_PACKETS } from "../../src/eap/limits.ts";
import type { ServerMethod } from "../../src/eap/method.ts";
import { createEapServer } from "../../src/eap/server.ts";
import { EapCode, EapType } from "../../src/iana/eap.ts";
import {
  converse,
  countedRandom,
  passwordClient,
  passwordMethod,
  passwordServer,
  request,
  response,
  result,
} from "./conversation.ts";

const { IDENTITY, NOTIFICATION, LEGACY_NAK, GTC, EAP_TLS } = EapType;
const MSCHAPV2 = EapType.MS_EAP_AUTHENTICATION;
const text = (value: string) => new TextEncoder().encode(value);
const address = "192.0.2.7";

describe("the server", () => {
  test("proposes what it likes best, and takes another of its methods that the peer names in a Nak", () => {
    const begun: number[] = [];
    const server = createEapServer({
      methods: [EAP_TLS, MSCHAPV2, GTC].map((type) => slowMethod(type, begun)),
      random: countedRandom(),
    });
    const { session } = server.begin({ address });
    expect(session.receive(response(1, IDENTITY, text("anna")))).toEqual({
      kind: "send",
      packet: request(2, EAP_TLS, Uint8Array.of(2)),
    });
    // The server's order counts, not the peer's.
    expect(session.receive(response(2, LEGACY_NAK, Uint8Array.of(99, GTC, MSCHAPV2)))).toEqual({
      kind: "send",
      packet: request(3, MSCHAPV2, Uint8Array.of(3)),
    });
    expect(session.receive(response(3, LEGACY_NAK, Uint8Array.of(EAP_TLS, MSCHAPV2)))).toMatchObject({
      kind: "failure",
      reason: "no method in common: the peer takes 13, 26",
    });
    expect(begun).toEqual([EAP_TLS, MSCHAPV2]);
  });

  test("ends where a Nak names nothing that it has, or comes within a method", async () => {
    const begin = () => {
      const { session } = passwordServer().begin({ address });
      session.receive(response(1, IDENTITY, text("anna")));
      return session;
    };
    expect(begin().receive(response(2, LEGACY_NAK, Uint8Array.of(0)))).toMatchObject({
      kind: "failure",
      packet: result(EapCode.FAILURE, 2),
    });
    const server = createEapServer({ methods: [slowMethod(GTC, [])], random: countedRandom() });
    const { session } = server.begin({ address });
    session.receive(response(1, IDENTITY, text("anna")));
    await session.receive(response(2, GTC, text("x")));
    expect(session.receive(response(3, LEGACY_NAK, Uint8Array.of(GTC)))).toMatchObject({
      kind: "failure",
      reason: "a Nak within a method",
    });
  });

  test("discards what answers another request, what is cut off, and what no peer sends", () => {
    const { session, first } = passwordServer().begin({ address });
    const right = response(first[1]!, IDENTITY, text("anna"));
    for (const wrong of [
      response(first[1]! + 1, IDENTITY, text("anna")),
      request(first[1]!, IDENTITY, text("anna")),
      result(EapCode.SUCCESS, first[1]),
      right.subarray(0, 7),
      right.subarray(0, 3),
      Uint8Array.of(EapCode.RESPONSE, first[1]!, 0, 4),
    ]) {
      expect(session.receive(wrong)).toEqual({ kind: "ignore" });
    }
    // RFC 3748 section 4.1: what is behind Length is padding.
    expect(session.receive(Uint8Array.of(...right, 0, 0))).toMatchObject({ kind: "send" });
  });

  test.each([
    ["empty", new Uint8Array(0)],
    ["of 254 octets", text("a".repeat(254))],
    ["with a line break", text("anna\nroot")],
    ["that is not UTF-8", Uint8Array.of(0x61, 0xff)],
  ])("refuses an identity %s", (_, identity) => {
    const { session, first } = passwordServer().begin({ address });
    expect(session.receive(response(first[1]!, IDENTITY, identity))).toMatchObject({ kind: "failure" });
  });

  test("refuses another type within a method, also a second identity", () => {
    const { session } = passwordServer().begin({ address });
    session.receive(response(1, IDENTITY, text("anna")));
    expect(session.receive(response(2, IDENTITY, text("dora")))).toMatchObject({
      kind: "failure",
      reason: "type 1 within type 26",
    });
  });

  test("ignores what comes while a method is at work, after the end, and after it was disposed of", async () => {
    const server = createEapServer({ methods: [slowMethod(GTC, [])], random: countedRandom() });
    const { session } = server.begin({ address });
    session.receive(response(1, IDENTITY, text("anna")));
    const slow = session.receive(response(2, GTC, text("x")));
    expect(session.receive(response(2, GTC, text("x")))).toEqual({ kind: "ignore" });
    session.dispose();
    expect(await slow).toEqual({ kind: "ignore" });
    expect(session.receive(response(2, GTC, text("x")))).toEqual({ kind: "ignore" });
  });

  test("ends a conversation that goes in circles", async () => {
    const server = createEapServer({ methods: [slowMethod(GTC, [])], random: countedRandom() });
    const { session } = server.begin({ address });
    let step = await session.receive(response(1, IDENTITY, text("anna")));
    for (let i = 0; i < MOST_PACKETS && step.kind === "send"; i++) {
      step = await session.receive(response(step.packet[1]!, GTC, text("again")));
    }
    expect(step).toMatchObject({ kind: "failure", reason: `more than ${MOST_PACKETS} packets` });
  });
});

describe("the client", () => {
  test("says who it is, however often it is asked, and answers notifications", () => {
    const client = passwordClient("anna", "x");
    for (const identifier of [7, 8]) {
      expect(client.receive(request(identifier, IDENTITY, text("who?")))).toEqual({
        kind: "send",
        packet: response(identifier, IDENTITY, text("anna")),
      });
    }
    expect(client.receive(request(9, NOTIFICATION, text("hello")))).toEqual({
      kind: "send",
      packet: response(9, NOTIFICATION, new Uint8Array(0)),
    });
  });

  test("names its methods where it is asked for another", () => {
    const client = createEapClient({
      identity: "anna",
      methods: [passwordMethod("anna", "x"), { ...passwordMethod("anna", "x"), type: EAP_TLS }],
    }).begin();
    expect(client.receive(request(3, GTC, text("Password:")))).toEqual({
      kind: "send",
      packet: response(3, LEGACY_NAK, Uint8Array.of(MSCHAPV2, EAP_TLS)),
    });
  });

  test("brings a server to the method that both have", async () => {
    const tls = slowMethod(EAP_TLS, []);
    const first = passwordServer();
    const { server } = await converse(first, passwordClient("anna", "open sesame"));
    expect(server?.kind).toBe("success");
    const onlyTls = createEapServer({ methods: [tls], random: countedRandom() });
    const refused = await converse(onlyTls, passwordClient("anna", "open sesame"));
    expect(refused.server).toMatchObject({ reason: "no method in common: the peer takes 26" });
    expect(refused.client).toMatchObject({ kind: "failure" });
  });

  test("answers a duplicate with the same octets, and does nothing twice", () => {
    const client = passwordClient("anna", "x");
    const challenge = request(5, MSCHAPV2, Uint8Array.of(1, 5, 0, 21, 16, ...new Uint8Array(16)));
    const first = client.receive(challenge);
    expect(first).toMatchObject({ kind: "send" });
    expect(client.receive(challenge.slice())).toEqual(first);
  });

  test("refuses another method, or another question for its identity, once one has begun", () => {
    for (const type of [IDENTITY, GTC, EAP_TLS]) {
      const client = passwordClient("anna", "x");
      client.receive(request(5, MSCHAPV2, Uint8Array.of(1, 5, 0, 21, 16, ...new Uint8Array(16))));
      expect(client.receive(request(6, type, new Uint8Array(0)))).toMatchObject({ kind: "failure" });
    }
  });

  test("takes no success without a method, and a failure at any time", () => {
    expect(passwordClient("anna", "x").receive(result(EapCode.SUCCESS, 3))).toMatchObject({
      kind: "failure",
    });
    expect(passwordClient("anna", "x").receive(result(EapCode.FAILURE, 3))).toEqual({
      kind: "failure",
      reason: "the server refused us and gave no reason",
    });
  });

  test("ends with a server that asks for ever", () => {
    const client = passwordClient("anna", "x");
    const steps = Array.from({ length: MOST_PACKETS + 2 }, (_, i) =>
      client.receive(request(i & 0xff, IDENTITY, new Uint8Array(0))),
    );
    expect(steps.at(-2)).toMatchObject({ kind: "failure" });
    expect(steps.at(-1)).toEqual({ kind: "ignore" });
  });
});

/** A method that says the identifier of each of its requests, and takes a while for each answer. */
function slowMethod(type: number, begun: number[]): ServerMethod {
  return {
    type,
    begin: () => {
      begun.push(type);
      return {
        open: (identifier) => Uint8Array.of(identifier),
        receive: async (_, identifier) => ({ kind: "send", data: Uint8Array.of(identifier) }),
        dispose: () => undefined,
      };
    },
  };
}
