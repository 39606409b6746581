import { beforeAll, describe, expect, test } from "vitest";
import type { EapSession } from "../../src/eap/session.ts";
import { EapType } from "../../src/iana/eap.ts";
import { ExchangeType, NotifyType, PayloadType } from "../../src/iana/ikev2-parameters.ts";
import { certificatePayloads } from "../../src/ike/certificates.ts";
import { find, findNotify } from "../../src/ike/payloads.ts";
import type { Credential } from "../../src/pki/credential.ts";
import { signAuth } from "../../src/pki/sign-auth.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import { login, logins, TestAuthority } from "../support/simulator/credentials.ts";
import { expectClean } from "../support/simulator/expectations.ts";
import {
  authenticating,
  initiatorPolicy,
  type Link,
  pair,
  responderPolicy,
  ScriptedPeer,
  type SimulatedMachine,
} from "../support/simulator/index.ts";

const { IKE_AUTH: exchangeType } = ExchangeType;
const PASSWORD = "correct horse";

let ca: TestAuthority;
let gateway: Credential;

beforeAll(async () => {
  ca = await TestAuthority.create();
  gateway = await ca.issue("b.example.org");
});

function eap(octets: Uint8Array): Payload {
  return { kind: "eap", critical: false, octets };
}

/** What stands behind Type in EAP-MSCHAPv2; `length` is what it says of itself. */
function mschap(opCode: number, body: Uint8Array, length = 4 + body.length): Uint8Array {
  return Uint8Array.of(opCode, 1, length >>> 8, length & 0xff, ...body);
}

/** An EAP request with it. */
function request(data: Uint8Array): Uint8Array {
  return Uint8Array.of(1, 2, 0, 5 + data.length, EapType.MS_EAP_AUTHENTICATION, ...data);
}

describe("a client that does not keep to the order", () => {
  interface Attack {
    readonly peer: ScriptedPeer;
    readonly machine: SimulatedMachine;
    readonly link: Link;
    readonly session: EapSession;
    /** Sends an IKE_AUTH request and takes the answer. */
    readonly ask: (payloads: readonly Payload[]) => Promise<readonly Payload[]>;
    /** The first message and what the session says to the answer. */
    readonly begin: () => Promise<Uint8Array>;
    /** The whole login; the key that it brings. */
    readonly logIn: () => Promise<Uint8Array>;
  }

  function attack(seed: number, localId = "a.example.org"): Attack {
    const { responder: machine, link } = pair({ seed });
    machine.endpoint.replaceConnections([
      authenticating(responderPolicy({ remoteAddress: undefined }), {
        local: { kind: "certificate", credentials: [gateway] },
        remote: [{ kind: "eap", server: logins({ anna: PASSWORD, bert: "battery" }) }],
        isForAnybody: true,
      }),
    ]);
    const peer = new ScriptedPeer({
      role: "initiator",
      policy: initiatorPolicy({ localId }),
      seed: seed + 7000,
    });
    peer.send(machine, peer.init());
    peer.agree(link.take().octets);
    const session = login("anna", PASSWORD).begin();
    let messageId = 0;
    const ask = async (payloads: readonly Payload[]) => {
      peer.send(machine, peer.seal({ exchangeType, messageId: ++messageId, payloads }));
      await machine.finishLogins();
      return peer.open(link.take().octets).payloads;
    };
    const respond = async (payloads: readonly Payload[]) => {
      const step = await session.receive(find(payloads, "eap")!.octets);
      if (step.kind !== "send") throw new Error(`the session has come to ${step.kind}`);
      return step.packet;
    };
    const begin = async () => {
      const payloads = peer.authPayloads().filter(({ kind }) => kind !== "authentication");
      return respond(await ask(payloads));
    };
    const logIn = async () => {
      let packet = await begin();
      for (;;) {
        const answer = find(await ask([eap(packet)]), "eap")!;
        const step = await session.receive(answer.octets);
        if (step.kind === "success") return step.msk!;
        if (step.kind !== "send") throw new Error(`the session has come to ${step.kind}`);
        packet = step.packet;
      }
    };
    return { peer, machine, link, session, ask, begin, logIn };
  }

  /** Nothing is set up, the peer hears only that it failed, and nothing stays. */
  function expectRefused({ machine, link }: Attack, answer: readonly Payload[], words: string): void {
    expect(findNotify(answer, NotifyType.AUTHENTICATION_FAILED)).toBeDefined();
    expect(machine.event("ike-sa-failed")!.message).toContain(words);
    expect(machine.event("ike-sa-established")).toBeUndefined();
    link.run({ until: link.now + 200_000 });
    expectClean(machine);
  }

  /** As `expectRefused`; EAP has a word of its own for it, which the peer reads (RFC 7296 section 2.16). */
  function expectFailed(all: Attack, answer: readonly Payload[], words: string): void {
    const said = find(answer, "eap");
    if (said !== undefined) {
      expect(said.octets).toEqual(Uint8Array.of(4, said.octets[1]!, 0, 4));
      expect(answer).toHaveLength(1);
    } else expect(findNotify(answer, NotifyType.AUTHENTICATION_FAILED)).toBeDefined();
    expect(all.machine.event("ike-sa-failed")!.message).toContain(words);
    expect(all.machine.event("ike-sa-failed")!.facts.reason).toBe("AUTHENTICATION_FAILED");
    expect(all.machine.event("ike-sa-established")).toBeUndefined();
    all.link.run({ until: all.link.now + 200_000 });
    expectClean(all.machine);
  }

  test("gets in by the whole of it, so that the others fail for what they do", async () => {
    const all = attack(1);
    const answer = await all.ask([all.peer.auth(await all.logIn())]);
    expect(find(answer, "authentication")).toBeDefined();
    expect(all.machine.ikeSas[0]).toMatchObject({ state: "established", user: "anna" });
  });

  test("AUTH instead of the first EAP answer", async () => {
    const all = attack(2);
    await all.begin();
    expectRefused(all, await all.ask([all.peer.auth(new Uint8Array(64))]), "as if it had logged in");
  });

  test("AUTH beside an EAP answer", async () => {
    const all = attack(3);
    const packet = await all.begin();
    expectRefused(all, await all.ask([eap(packet), all.peer.auth()]), "as if it had logged in");
  });

  test("the child SA once more, and no EAP", async () => {
    const all = attack(4);
    await all.begin();
    expectRefused(all, await all.ask(all.peer.authPayloads().slice(2)), "as if it had logged in");
  });

  test("AUTH by another key than the login's", async () => {
    const all = attack(5);
    const msk = await all.logIn();
    msk[0]! ^= 1;
    expectRefused(all, await all.ask([all.peer.auth(msk)]), "key of the login");
  });

  test("AUTH by SK_p after a login that has a key", async () => {
    const all = attack(6);
    await all.logIn();
    expectRefused(all, await all.ask([all.peer.auth(all.peer.keys!.skPi)]), "key of the login");
  });

  test("another identity after EAP-Success", async () => {
    const all = attack(7);
    await all.logIn();
    const other = Uint8Array.of(2, 9, 0, 9, 1, 0x62, 0x65, 0x72, 0x74);
    expectRefused(all, await all.ask([eap(other)]), "does not prove it");
  });

  test("no AUTH after EAP-Success", async () => {
    const all = attack(8);
    await all.logIn();
    expectRefused(all, await all.ask([]), "does not prove it");
  });

  test("EAP-Success of its own, or an answer to another request", async () => {
    for (const [seed, packet] of [
      [9, Uint8Array.of(3, 1, 0, 4)],
      [10, Uint8Array.of(2, 250, 0, 4)],
    ] as const) {
      const all = attack(seed);
      await all.begin();
      expectRefused(all, await all.ask([eap(packet)]), "not due");
    }
  });

  test("another name in the method than was given before is still the name that is logged in", async () => {
    const all = attack(11);
    const first = await all.begin();
    // bert in EAP-Identity, anna with her password in MSCHAPv2.
    const named = Uint8Array.of(2, first[1]!, 0, 9, 1, 0x62, 0x65, 0x72, 0x74);
    let answer = find(await all.ask([eap(named)]), "eap")!;
    let key: Uint8Array | undefined;
    while (key === undefined) {
      const step = await all.session.receive(answer.octets);
      if (step.kind === "failure" || step.kind === "ignore") break;
      if (step.kind === "success") key = step.msk;
      else answer = find(await all.ask([eap(step.packet)]), "eap")!;
    }
    if (key !== undefined) await all.ask([all.peer.auth(key)]);
    for (const { user } of all.machine.ikeSas) expect([undefined, "anna"]).toContain(user);
  });

  /** An EAP packet in answer to `first`, whose lengths are what a test says. */
  function answerTo(first: Uint8Array, type: number, data: Uint8Array, length = 5 + data.length): Uint8Array {
    return Uint8Array.of(2, first[1]!, length >>> 8, length & 0xff, type, ...data);
  }

  test.each([
    ["254 octets", new Uint8Array(254).fill(0x61), "an identity of 254 octets that is no name"],
    ["no octets", new Uint8Array(0), "an identity of 0 octets that is no name"],
  ])("an EAP identity of %s", async (_, data, words) => {
    const all = attack(18);
    const first = await all.begin();
    expectFailed(all, await all.ask([eap(answerTo(first, EapType.IDENTITY, data))]), words);
  });

  test.each([0, 3, 4, 8, 10, 4000, 65_535])(
    "an EAP packet of 9 octets that says it has %d",
    async (length) => {
      const all = attack(21);
      const first = await all.begin();
      const data = new Uint8Array(4).fill(0x61);
      const { peer, machine, link } = all;
      const body = answerTo(first, EapType.IDENTITY, data, length);
      const type = PayloadType.EAP;
      peer.send(machine, peer.sealRaw({ exchangeType, messageId: 2, payloads: [{ type, body }] }));
      await machine.finishLogins();
      const answer = peer.open(link.take().octets).payloads;
      expect(findNotify(answer, NotifyType.INVALID_SYNTAX)).toBeDefined();
      expect(machine.event("ike-sa-established")).toBeUndefined();
      link.run({ until: link.now + 200_000 });
      expectClean(machine);
    },
  );

  const CHALLENGE_ANSWER = new Uint8Array(49);
  test.each([
    ["a response that is cut off", mschap(2, Uint8Array.of(49, ...new Uint8Array(20)))],
    ["a response whose value is said to be longer", mschap(2, Uint8Array.of(50, ...CHALLENGE_ANSWER, 0x61))],
    ["a response whose value is said to be shorter", mschap(2, Uint8Array.of(16, ...CHALLENGE_ANSWER, 0x61))],
    ["a length that is too long", mschap(2, Uint8Array.of(49, ...CHALLENGE_ANSWER, 0x61), 4000)],
    ["a length of nothing", mschap(2, Uint8Array.of(49, ...CHALLENGE_ANSWER, 0x61), 0)],
    [
      "a name of 257 octets",
      mschap(2, Uint8Array.of(49, ...CHALLENGE_ANSWER, ...new Uint8Array(257).fill(0x61))),
    ],
    ["an OpCode alone", Uint8Array.of(2)],
    ["the acknowledgement of a success that has not come", Uint8Array.of(3)],
    ["the acknowledgement of a failure that has not come", Uint8Array.of(4)],
  ])("EAP-MSCHAPv2 with %s", async (_, data) => {
    const all = attack(19);
    const challenge = find(await all.ask([eap(await all.begin())]), "eap")!.octets;
    const type = EapType.MS_EAP_AUTHENTICATION;
    expect(challenge[4]).toBe(type);
    expectFailed(all, await all.ask([eap(answerTo(challenge, type, data))]), "did not log in");
  });

  test("AUTH in the place of the acknowledgement, by the key that the login would have brought", async () => {
    const all = attack(20);
    const challenge = find(await all.ask([eap(await all.begin())]), "eap")!;
    const response = await all.session.receive(challenge.octets);
    if (response.kind !== "send") throw new Error(response.kind);
    const success = find(await all.ask([eap(response.packet)]), "eap")!;
    // A client that does not look whether the gateway knows the password goes on at once.
    expect(success.octets[5]).toBe(3);
    const acknowledged = await all.session.receive(success.octets);
    expect(acknowledged.kind).toBe("send");
    const whole = await all.session.receive(Uint8Array.of(3, success.octets[1]!, 0, 4));
    const key = whole.kind === "success" ? whole.msk! : new Uint8Array(0);
    expect(key).toHaveLength(64);
    expectRefused(all, await all.ask([all.peer.auth(key)]), "as if it had logged in");
  });

  test("an identity of thousands of octets", async () => {
    const all = attack(12);
    const [identification, ...rest] = all.peer.authPayloads().filter(({ kind }) => kind !== "authentication");
    const long = { ...identification, data: new Uint8Array(3000) } as Payload;
    expectRefused(all, await all.ask([long, ...rest]), "3000 octets");
  });

  test("more in the first message than anybody needs", async () => {
    const all = attack(13);
    const payloads = all.peer.authPayloads().filter(({ kind }) => kind !== "authentication");
    const data = new Uint8Array(1000);
    const many = Array.from(
      { length: 12 },
      (): Payload => ({
        kind: "notify",
        critical: false,
        protocolId: 0,
        notifyType: 40_000,
        spi: new Uint8Array(0),
        data,
      }),
    );
    expectRefused(all, await all.ask([...payloads, ...many]), "more than we keep");
  });

  test("a login without end", async () => {
    const all = attack(14);
    const packet = await all.begin();
    let answer: readonly Payload[] = [];
    for (let round = 0; round < 200 && all.machine.state === "authenticating"; round++) {
      answer = await all.ask([eap(packet)]);
    }
    expect(all.machine.state).toBe("none");
    expect(answer.length).toBeGreaterThan(0);
  });

  test("requests of an established SA before the end of the login", async () => {
    const all = attack(15);
    await all.begin();
    const { peer, machine, link } = all;
    for (const wrong of [ExchangeType.CREATE_CHILD_SA, 99]) {
      peer.send(machine, peer.seal({ exchangeType: wrong, messageId: 2, payloads: peer.authPayloads() }));
    }
    expect(link.inFlight).toHaveLength(0);
    expect(machine.endpoint.counters.unexpected).toBe(2);
    expect(machine.installed.size).toBe(0);
  });

  test("what gives a login up is answered, and leaves nothing behind", async () => {
    const all = attack(16);
    await all.begin();
    const { peer, machine, link } = all;
    const error = {
      kind: "notify",
      critical: false,
      protocolId: 0,
      notifyType: NotifyType.AUTHENTICATION_FAILED,
      spi: new Uint8Array(0),
      data: new Uint8Array(0),
    } as const;
    peer.send(
      machine,
      peer.seal({ exchangeType: ExchangeType.INFORMATIONAL, messageId: 2, payloads: [error] }),
    );
    expect(peer.open(link.take().octets).payloads).toEqual([]);
    expect(machine.event("ike-sa-failed")!.message).toContain("does not go on");
    link.run({ until: link.now + 100_000 });
    expectClean(machine);
  });

  test("more logins at a time than we work on are put off, and get their turn", async () => {
    const { responder: machine, link } = pair({ seed: 17, limits: { loginCount: 1 } });
    machine.endpoint.replaceConnections([
      authenticating(responderPolicy({ remoteAddress: undefined }), {
        local: { kind: "certificate", credentials: [gateway] },
        remote: [{ kind: "eap", server: logins({}) }],
        isForAnybody: true,
      }),
    ]);
    const peers = [1, 2].map((i) => {
      const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 8000 + i });
      peer.send(machine, peer.init());
      peer.agree(link.take().octets);
      const payloads = peer.authPayloads().filter(({ kind }) => kind !== "authentication");
      return { peer, request: peer.seal({ exchangeType, messageId: 1, payloads }) };
    });
    for (const { peer, request } of peers) peer.send(machine, request);
    expect([machine.pendingLogins, machine.endpoint.counters.loginPutOff]).toEqual([1, 1]);
    await machine.finishLogins();
    link.take();
    const { peer, request } = peers[1]!;
    peer.send(machine, request);
    await machine.finishLogins();
    expect(find(peer.open(link.take().octets).payloads, "eap")).toBeDefined();
  });
});

describe("a gateway that does not keep to the order", () => {
  interface Trap {
    readonly peer: ScriptedPeer;
    readonly machine: SimulatedMachine;
    readonly link: Link;
    readonly identity: () => Promise<readonly Payload[]>;
    /** Answers the machine's request; its next one, if there is any. */
    readonly answer: (payloads: readonly Payload[]) => Promise<readonly Payload[] | undefined>;
  }

  async function trap(seed: number): Promise<Trap> {
    const { initiator: machine, link } = pair({ seed });
    machine.endpoint.replaceConnections([
      authenticating(initiatorPolicy(), {
        local: { kind: "eap", client: login("anna", PASSWORD) },
        remote: [{ kind: "certificate", trust: ca.trust("server") }],
      }),
    ]);
    const peer = new ScriptedPeer({ role: "responder", policy: responderPolicy(), seed: seed + 7000 });
    machine.connect();
    peer.agree(link.take().octets);
    peer.send(machine, peer.init());
    let request = peer.open(link.take().octets);
    expect(find(request.payloads, "authentication")).toBeUndefined();
    const answer = async (payloads: readonly Payload[]) => {
      const { messageId } = request.header;
      peer.send(machine, peer.seal({ exchangeType, messageId, payloads, isResponse: true }));
      await machine.finishLogins();
      if (link.inFlight.length === 0) return undefined;
      request = peer.open(link.take().octets);
      return request.payloads;
    };
    const identity = async (): Promise<readonly Payload[]> => {
      const { method, data } = await signAuth({
        credential: gateway,
        octets: peer.signedOctets(),
        hashes: [2],
      });
      const auth: Payload = { kind: "authentication", critical: false, method, data };
      return [peer.identification(), ...certificatePayloads(gateway), auth];
    };
    return { peer, machine, link, identity, answer };
  }

  const IDENTITY_REQUEST = Uint8Array.of(1, 1, 0, 5, 1);

  function expectBrokenOff({ machine }: Trap, words: string): void {
    expect(machine.event("ike-sa-failed")!.facts.reason).toBe("AUTHENTICATION_FAILED");
    expect(machine.event("ike-sa-failed")!.message).toContain(words);
    expect(machine.installed.size).toBe(0);
  }

  test("an EAP request without showing who it is gets no answer", async () => {
    const all = await trap(30);
    await all.answer([all.peer.identification(), eap(IDENTITY_REQUEST)]);
    expectBrokenOff(all, "no IDr or no AUTH");
    expect(all.machine.logins).toEqual([]);
  });

  test("EAP-Success at once", async () => {
    const all = await trap(31);
    await all.answer([...(await all.identity()), eap(Uint8Array.of(3, 1, 0, 4))]);
    expectBrokenOff(all, "before it was due");
  });

  test("EAP-Success right after the identity", async () => {
    const all = await trap(32);
    const said = await all.answer([...(await all.identity()), eap(IDENTITY_REQUEST)]);
    expect(find(said!, "eap")!.octets.subarray(5)).toEqual(new TextEncoder().encode("anna"));
    await all.answer([eap(Uint8Array.of(3, 1, 0, 4))]);
    expectBrokenOff(all, "before it was due");
  });

  test("the child SA in place of the login", async () => {
    const all = await trap(33);
    await all.answer([...(await all.identity()), ...all.peer.authPayloads().slice(2)]);
    expectBrokenOff(all, "without a login");
  });

  test("the child SA in the middle of the login", async () => {
    const all = await trap(34);
    await all.answer([...(await all.identity()), eap(IDENTITY_REQUEST)]);
    await all.answer(all.peer.authPayloads().slice(1));
    expectBrokenOff(all, "as if we had logged in");
  });

  test("a login that it cannot have the key of", async () => {
    const all = await trap(35);
    const { session, first } = logins({ anna: PASSWORD }).begin({ address: "192.0.2.1" });
    let said = await all.answer([...(await all.identity()), eap(first)]);
    for (;;) {
      const step = await session.receive(find(said!, "eap")!.octets);
      if (step.kind === "success") {
        said = await all.answer([eap(step.packet!)]);
        break;
      }
      if (step.kind !== "send") throw new Error(step.kind);
      said = await all.answer([eap(step.packet)]);
    }
    expect(find(said!, "authentication")).toBeDefined();
    await all.answer([all.peer.auth(new Uint8Array(64)), ...all.peer.authPayloads().slice(2)]);
    expectBrokenOff(all, "key of the login");
  });

  test("the child SA in the place of EAP-Success, behind a login that was right", async () => {
    const all = await trap(37);
    const { session, first } = logins({ anna: PASSWORD }).begin({ address: "192.0.2.1" });
    let said = await all.answer([...(await all.identity()), eap(first)]);
    for (;;) {
      const step = await session.receive(find(said!, "eap")!.octets);
      if (step.kind === "success") break;
      if (step.kind !== "send") throw new Error(step.kind);
      said = await all.answer([eap(step.packet)]);
    }
    await all.answer([all.peer.auth(new Uint8Array(64)), ...all.peer.authPayloads().slice(2)]);
    expectBrokenOff(all, "as if we had logged in");
  });

  test.each([
    ["a challenge of 8 octets", request(mschap(1, Uint8Array.of(8, ...new Uint8Array(8))))],
    ["a challenge that is cut off", request(mschap(1, Uint8Array.of(16, ...new Uint8Array(8))))],
    ["a challenge whose length lies", request(mschap(1, new Uint8Array(17).fill(16), 9))],
    ["an OpCode alone", request(Uint8Array.of(1))],
    ["a success before the challenge", request(mschap(3, new Uint8Array(42).fill(0x30)))],
  ])("EAP-MSCHAPv2 with %s", async (_, packet) => {
    const all = await trap(38);
    await all.answer([...(await all.identity()), eap(IDENTITY_REQUEST)]);
    await all.answer([eap(packet)]);
    expectBrokenOff(all, "login failed");
    all.link.run({ until: all.link.now + 400_000 });
    expectClean(all.machine);
  });

  test("a login where none is configured", async () => {
    const { initiator: machine, link } = pair({ seed: 39 });
    const peer = new ScriptedPeer({ role: "responder", policy: responderPolicy(), seed: 7039 });
    machine.connect();
    peer.agree(link.take().octets);
    peer.send(machine, peer.init());
    const { header } = peer.open(link.take().octets);
    const payloads = [peer.identification(), peer.auth(), eap(IDENTITY_REQUEST)];
    peer.send(machine, peer.seal({ exchangeType, messageId: header.messageId, payloads, isResponse: true }));
    await machine.finishLogins();
    expect(machine.event("ike-sa-failed")!.message).toContain("none is configured");
    expect(machine.installed.size).toBe(0);
  });

  test("requests without end", async () => {
    const all = await trap(36);
    let said = await all.answer([...(await all.identity()), eap(IDENTITY_REQUEST)]);
    let identifier = 1;
    for (let round = 0; round < 200 && said !== undefined && find(said, "eap") !== undefined; round++) {
      identifier = (identifier + 1) & 0xff;
      said = await all.answer([eap(Uint8Array.of(1, identifier, 0, 5, 2))]);
    }
    expect(all.machine.event("ike-sa-failed")).toBeDefined();
    expect(all.machine.logins.length).toBeLessThan(110);
  });
});
