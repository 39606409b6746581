import { beforeAll, describe, expect, test } from "vitest";
import { ExchangeType, NotifyType, nameOf } from "../../src/iana/ikev2-parameters.ts";
import { findNotify } from "../../src/ike/payloads.ts";
import { stampOf } from "../../src/ike/resumption/stamp.ts";
import type { Credential } from "../../src/pki/credential.ts";
import type { Accounts } from "../../src/policy/connection.ts";
import { AddressPools } from "../../src/pool/address-pools.ts";
import { decodeHeader, decodeMessage, encodeMessage } from "../../src/wire/message.ts";
import { granting, login, logins, TestAuthority } from "../support/simulator/credentials.ts";
import { expectClean, expectEstablished } from "../support/simulator/expectations.ts";
import {
  authenticating,
  childPolicy,
  initiatorPolicy,
  type PolicyOptions,
  responderPolicy,
  SimulatedMachine,
} from "../support/simulator/index.ts";
import { ResumptionLab } from "../support/simulator/resumption.ts";

const HOUR_MS = 3_600_000;

/** Exchange types of what was transmitted from `first` on. */
function exchanges({ link }: ResumptionLab, first: number): string[] {
  return link.transmitted
    .slice(first)
    .map(({ octets }) => nameOf(ExchangeType, decodeHeader(octets).exchangeType));
}

function isResumed({ client }: ResumptionLab): boolean {
  return client.ikeSas.at(-1)?.isResumed === true;
}

/** Why the gateway did not take the ticket. */
function refusal({ gateway }: ResumptionLab): string {
  return gateway.event("ticket-refused")?.message ?? "";
}

/** The client came in all the same, by a full exchange that followed at once. */
function expectFullExchange(lab: ResumptionLab): void {
  expectEstablished(lab.client, lab.gateway);
  expect(isResumed(lab)).toBe(false);
  expect(lab.client.event("ticket-refused")!.message).toContain("TICKET_NACK");
  expect(lab.client.event("ike-sa-failed")).toBeUndefined();
}

describe("a session is resumed", () => {
  test("when the gateway was started again: two round trips, and no key exchange", async () => {
    const lab = new ResumptionLab(1);
    await lab.connect();
    lab.restartGateway();
    await lab.noticeRestart();
    expect(lab.client.event("ike-sa-deleted")!.facts.reason).toBe("peer-restarted");
    lab.client.holdsJobs = true;
    lab.gateway.holdsJobs = true;
    const first = lab.link.transmitted.length;
    await lab.connect();
    expect(exchanges(lab, first)).toEqual([
      "IKE_SESSION_RESUME",
      "IKE_SESSION_RESUME",
      "IKE_AUTH",
      "IKE_AUTH",
    ]);
    expectEstablished(lab.client, lab.gateway);
    expect(lab.client.ikeSas[0]).toMatchObject({ isResumed: true, remoteIdentity: "b.example.org" });
    expect(lab.gateway.ikeSas[0]).toMatchObject({ isResumed: true, remoteIdentity: "a.example.org" });
    expect(lab.client.event("ike-sa-negotiated")).toBeDefined();
    expect(lab.client.events.findLast(({ name }) => name === "ike-sa-established")!.message).toContain(
      "resumed",
    );
  });

  test("again and again, each time by the ticket that came with the last", async () => {
    const lab = new ResumptionLab(2);
    await lab.connect();
    const seen = new Set([lab.tickets[0]!.ticket.toString()]);
    for (let life = 0; life < 3; life++) {
      lab.restartGateway();
      await lab.noticeRestart();
      await lab.connect();
      expect(isResumed(lab)).toBe(true);
      seen.add(lab.tickets[0]!.ticket.toString());
    }
    expect(seen.size).toBe(4);
    lab.client.disconnect();
    await lab.link.settle();
    lab.link.run({ until: lab.link.now + 40_000 });
    expectClean(lab.client, lab.gateway);
  });

  test("by a client that was started again, and what the gateway still has of it goes without a word", async () => {
    const lab = new ResumptionLab(3);
    await lab.connect();
    lab.restartClient();
    await lab.connect();
    expect(isResumed(lab)).toBe(true);
    expectEstablished(lab.client, lab.gateway);
    expect(lab.gateway.event("ike-sa-deleted")!.facts.reason).toBe("replaced");
    expect(exchanges(lab, 0)).not.toContain("INFORMATIONAL");
  });

  test("under the keys of an IKE SA that was rekeyed, by either side", async () => {
    for (const [seed, who] of [
      [4, "client"],
      [5, "gateway"],
    ] as const) {
      const lab = new ResumptionLab(seed);
      await lab.connect();
      const before = lab.tickets[0]!.ticket;
      lab[who].rekey("ike");
      await lab.link.settle();
      expect(lab.tickets[0]!.ticket).not.toEqual(before);
      lab.restartGateway();
      await lab.noticeRestart();
      await lab.connect();
      expect(isResumed(lab)).toBe(true);
      expectEstablished(lab.client, lab.gateway);
    }
  });

  test("and its SAs are rekeyed as any others", async () => {
    const lab = new ResumptionLab(6);
    await lab.comeBack();
    lab.client.rekey("ike");
    lab.gateway.rekey("children");
    await lab.link.settle();
    lab.link.run({ until: lab.link.now + 10_000 });
    expect(lab.client.eventNames()).toEqual(expect.arrayContaining(["ike-sa-rekeyed", "child-sa-rekeyed"]));
    expectEstablished(lab.client, lab.gateway);
  });

  test("with the PPK that was in its keys, and not by what has none where one is required", async () => {
    const ppk = { id: "ppk", key: new Uint8Array(32).fill(5), isRequired: true };
    const policies = (options: PolicyOptions) => ({
      client: { connections: [initiatorPolicy(options)] },
      gateway: { connections: [responderPolicy(options)] },
    });
    const lives = policies({ ppk });
    const lab = new ResumptionLab(7, lives);
    await lab.comeBack(lives.gateway);
    expect(lab.client.ikeSas[0]).toMatchObject({ isResumed: true, hasPpk: true });
    const other = new ResumptionLab(8);
    await other.connect();
    other.client.endpoint.replaceConnections(lives.client.connections);
    other.restartGateway(lives.gateway);
    await other.noticeRestart();
    await other.connect();
    expect(other.client.ikeSas[0]).toMatchObject({ isResumed: false, hasPpk: true });
  });

  test("with the addresses that the client had", async () => {
    const anywhere = ["0.0.0.0/0"];
    const pools = new AddressPools({ prefixes: ["10.77.0.0/24"] });
    const children = [childPolicy({ local: anywhere, remote: anywhere })];
    const gateway = {
      connections: [
        responderPolicy({
          children: [childPolicy({ local: anywhere, remote: ["10.77.0.0/24"] })],
          more: GIVES,
        }),
      ],
      addresses: {
        assign: ({ user, device, wanted }: Parameters<Assign>[0]) => pools.assign({ user, device }, wanted),
        release: (lease: Parameters<AddressPools["release"]>[0]) => pools.release(lease),
      },
    };
    const client = {
      connections: [initiatorPolicy({ children, more: { asks: { ipv4: true, ipv6: false } } })],
    };
    const lab = new ResumptionLab(9, { client, gateway });
    await lab.connect();
    const before = lab.client.configurations.get("tunnel")!.addresses;
    lab.restartClient(client);
    await lab.connect();
    expect(isResumed(lab)).toBe(true);
    expect(lab.client.configurations.get("tunnel")!.addresses).toEqual(before);
    expectEstablished(lab.client, lab.gateway);
  });

  test("with what was shown in IKE_AUTH holding no longer than it would have", async () => {
    const more = { reauthMs: HOUR_MS };
    const gateway = { connections: [responderPolicy({ more })] };
    const lab = new ResumptionLab(10, { gateway });
    await lab.connect();
    lab.link.run({ until: 30 * 60_000 });
    const first = lab.link.transmitted.length;
    lab.restartGateway(gateway);
    await lab.noticeRestart();
    await lab.connect();
    expect(isResumed(lab)).toBe(true);
    // Who we are is shown again by a full exchange, in the first hour.
    lab.link.run({ until: HOUR_MS + 1000 });
    await lab.link.settle();
    expect(exchanges(lab, first)).toContain("IKE_SA_INIT");
    expect(isResumed(lab)).toBe(false);
    expectEstablished(lab.client, lab.gateway);
  });
});

type Assign = (request: {
  readonly user: string;
  readonly device: string;
  readonly wanted: Parameters<AddressPools["assign"]>[1];
}) => unknown;

const GIVES = { gives: { dns: [], subnets: [], domains: [] } };

describe("on a bad path", () => {
  test("every message of it may be lost once", async () => {
    for (let lost = 0; lost < 4; lost++) {
      const lab = new ResumptionLab(20 + lost);
      await lab.connect();
      lab.restartGateway();
      await lab.noticeRestart();
      const first = lab.link.transmitted.length;
      lab.link.fate = ({ index }) => (index === first + lost ? [] : [0]);
      lab.client.connect();
      lab.link.run({ until: lab.link.now + 10_000 });
      expect(isResumed(lab)).toBe(true);
      expectEstablished(lab.client, lab.gateway);
    }
  });

  test("loss, doubles and reordering end in one session, resumed or not", () => {
    for (let seed = 30; seed < 50; seed++) {
      const lab = new ResumptionLab(seed);
      lab.client.connect();
      lab.link.deliverAll();
      lab.restartGateway();
      lab.client.handle({ kind: "liveness", connection: "tunnel" });
      lab.link.deliverAll();
      lab.link.impair(seed, { loss: 0.3, duplication: 0.2, delayMs: [5, 400] });
      lab.client.connect();
      lab.link.run({ until: lab.link.now + 60_000 });
      lab.link.fate = () => [0];
      lab.link.run({ until: lab.link.now + 60_000 });
      expectEstablished(lab.client, lab.gateway);
    }
  });

  test("a gateway that wants a cookie gets the same request with it", async () => {
    const limits = { cookieThresholdCount: 0 };
    const lab = new ResumptionLab(66, { gateway: { limits } });
    await lab.connect();
    lab.restartGateway({ limits });
    await lab.noticeRestart();
    const first = lab.link.transmitted.length;
    await lab.connect();
    expect(exchanges(lab, first).filter((type) => type === "IKE_SESSION_RESUME")).toHaveLength(4);
    expect(lab.gateway.endpoint.counters.cookiesDemanded).toBe(1);
    expect(isResumed(lab)).toBe(true);
  });

  test("silence makes an ordinary attempt of it after some seconds, and the ticket is good for the next time", async () => {
    const lab = new ResumptionLab(50);
    await lab.connect();
    lab.restartClient();
    lab.link.fate = () => [];
    lab.client.connect();
    const first = lab.link.transmitted.length - 1;
    lab.link.run({ until: lab.link.now + 30_000 });
    const sent = exchanges(lab, first);
    expect(sent.filter((type) => type === "IKE_SESSION_RESUME")).toHaveLength(4);
    expect(sent.at(-1)).toBe("IKE_SA_INIT");
    expect(lab.client.event("ticket-refused")!.message).toContain("no answer");
    expect(lab.tickets).toHaveLength(1);
    lab.link.fate = () => [0];
    lab.link.run({ until: lab.link.now + 30_000 });
    expectEstablished(lab.client, lab.gateway);
  });

  test("a repeated request gets the same answer, and another with its nonce gets none", async () => {
    const lab = new ResumptionLab(51);
    await lab.connect();
    lab.restartGateway();
    await lab.noticeRestart();
    lab.client.connect();
    const request = lab.link.take();
    lab.link.arrive(request);
    const answer = lab.link.take();
    lab.link.arrive(request);
    expect(lab.link.take().octets).toEqual(answer.octets);
    expect(lab.gateway.endpoint.halfOpenCount).toBe(1);
  });
});

describe("a client shows a ticket once:", () => {
  test("where IKE_AUTH is not answered, the next attempt begins with IKE_SA_INIT", async () => {
    const lab = new ResumptionLab(52);
    await lab.connect();
    lab.restartGateway();
    await lab.noticeRestart();
    const first = lab.link.transmitted.length;
    lab.link.fate = ({ from, octets }) =>
      from === lab.gateway && decodeHeader(octets).exchangeType === ExchangeType.IKE_AUTH ? [] : [0];
    lab.client.connect();
    lab.link.run({ until: lab.link.now + 300_000 });
    expect(exchanges(lab, first)).toContain("IKE_SESSION_RESUME");
    expect(lab.client.event("ike-sa-failed")!.facts.reason).toBe("timeout");
    expect(lab.tickets).toEqual([]);
    lab.link.fate = () => [0];
    const next = lab.link.transmitted.length;
    await lab.connect();
    expect(exchanges(lab, next)[0]).toBe("IKE_SA_INIT");
    expectEstablished(lab.client, lab.gateway);
  });

  test("one that is gone before the gateway answers makes no keys, since its SK_d was wiped", async () => {
    const lab = new ResumptionLab(53);
    await lab.connect();
    lab.restartGateway();
    await lab.noticeRestart();
    lab.client.connect();
    lab.wallet.drop("tunnel");
    await lab.link.settle();
    expect(lab.client.event("ticket-refused")!.message).toContain("used or replaced meanwhile");
    expect(isResumed(lab)).toBe(false);
    // What the gateway has made of the ticket is half open, and ends.
    lab.link.run({ until: lab.link.now + 60_000 });
    expectEstablished(lab.client, lab.gateway);
  });
});

describe("a client that resumes", () => {
  const SECOND = "192.0.2.3";

  function withSecond(seed: number): { readonly lab: ResumptionLab; readonly second: SimulatedMachine } {
    const lab = new ResumptionLab(seed);
    const second: SimulatedMachine = new SimulatedMachine({
      name: "second",
      address: SECOND,
      seed,
      connections: [responderPolicy({ localAddress: SECOND })],
      clock: lab.link,
      transmit: (octets, path) => lab.link.transmit(second, octets, path),
    });
    lab.link.add(second);
    return { lab, second };
  }

  test.each(["init", "auth"] as const)(
    "is sent elsewhere behind IKE_AUTH, where others are so (%s)",
    async (when) => {
      const { lab, second } = withSecond(54);
      await lab.connect();
      lab.restartGateway({
        connections: [responderPolicy({ more: { redirectTo: { host: SECOND, when } } })],
      });
      await lab.noticeRestart();
      const first = lab.link.transmitted.length;
      await lab.connect();
      lab.link.run({ until: lab.link.now + 40_000 });
      expect(exchanges(lab, first).slice(0, 4)).toEqual([
        "IKE_SESSION_RESUME",
        "IKE_SESSION_RESUME",
        "IKE_AUTH",
        "IKE_AUTH",
      ]);
      expectEstablished(lab.client, second);
      expectClean(lab.gateway);
    },
  );

  test("can be told to go later", async () => {
    const { lab, second } = withSecond(55);
    await lab.comeBack();
    expect(isResumed(lab)).toBe(true);
    expect(lab.gateway.endpoint.countRedirectable("tunnel")).toEqual({ able: 1, unable: 0 });
    lab.gateway.handle({ kind: "redirect", connection: "tunnel", host: SECOND });
    lab.link.run({ until: lab.link.now + 40_000 });
    expectEstablished(lab.client, second);
    expectClean(lab.gateway);
  });

  test("proves by AUTH that it has said so, and comes to nothing where somebody has taken that out", async () => {
    const lab = new ResumptionLab(56);
    await lab.connect();
    lab.restartGateway();
    await lab.noticeRestart();
    lab.client.connect();
    const request = lab.link.take();
    const { header, payloads } = decodeMessage(request.octets);
    expect(findNotify(payloads, NotifyType.REDIRECT_SUPPORTED)).toBeDefined();
    const others = payloads.filter(
      (each) => each.kind !== "notify" || each.notifyType !== NotifyType.REDIRECT_SUPPORTED,
    );
    lab.link.arrive({ ...request, octets: encodeMessage({ ...header, payloads: others }) });
    await lab.link.settle();
    expect(lab.client.event("ike-sa-failed")!.facts.reason).toBe("AUTHENTICATION_FAILED");
    expect(lab.gateway.ikeSas.some(({ isResumed }) => isResumed)).toBe(false);
  });
});

describe("a ticket is refused, and a full exchange follows at once,", () => {
  test("when the gateway has lost its keys", async () => {
    const lab = new ResumptionLab(60);
    await lab.connect();
    lab.keys = [];
    lab.restartGateway();
    await lab.noticeRestart();
    await lab.connect();
    expect(refusal(lab)).toContain("not ours");
    expectFullExchange(lab);
  });

  test("when any octet of it is another", async () => {
    const lab = new ResumptionLab(61);
    await lab.connect();
    const { length } = lab.tickets[0]!.ticket;
    const good = lab.tickets;
    for (const at of [0, 4, 12, 24, length - 17, length - 1]) {
      lab.tickets = good;
      lab.changeTicket(({ ticket }) => ({
        ticket: ticket.map((octet, i) => (i === at ? octet ^ 1 : octet)),
      }));
      lab.restartGateway();
      lab.restartClient();
      await lab.connect();
      expect(refusal(lab)).toContain("not ours");
      expectFullExchange(lab);
    }
  });

  test("when it has expired for the gateway, and the client does not even show one that has for itself", async () => {
    const lab = new ResumptionLab(62);
    await lab.connect();
    lab.dates.gateway += 25 * HOUR_MS;
    lab.restartGateway();
    await lab.noticeRestart();
    await lab.connect();
    expect(refusal(lab)).toContain("expired");
    expectFullExchange(lab);
    lab.dates.client += 25 * HOUR_MS;
    lab.restartClient();
    const first = lab.link.transmitted.length;
    await lab.connect();
    expect(exchanges(lab, first)).not.toContain("IKE_SESSION_RESUME");
    expectEstablished(lab.client, lab.gateway);
  });

  test.each(["this life", "another life"])("when it was used before, in %s of the gateway", async (life) => {
    const lab = new ResumptionLab(63);
    await lab.connect();
    const used = lab.tickets;
    lab.restartClient();
    await lab.connect();
    expect(isResumed(lab)).toBe(true);
    lab.tickets = used;
    if (life === "another life") lab.restartGateway();
    lab.restartClient();
    await lab.connect();
    expect(refusal(lab)).toContain("used before");
    expectFullExchange(lab);
  });

  test.each(["this life", "another life"])(
    "when its IKE SA was ended by the gateway's will, in %s of the gateway",
    async (life) => {
      const lab = new ResumptionLab(64);
      await lab.connect();
      lab.gateway.disconnect();
      await lab.link.settle();
      if (life === "another life") lab.restartGateway();
      await lab.connect();
      expect(refusal(lab)).toContain("its IKE SA was ended");
      expectFullExchange(lab);
    },
  );

  test.each<[string, PolicyOptions]>([
    ["its pre-shared key is another", { psk: "another secret of some length" }],
    ["the connection has another name", { name: "other" }],
    ["its algorithms are not allowed any more", { ike: ["chacha20poly1305-prfsha384-x25519"] }],
    ["sessions are not resumed any more", { more: { resumes: false } }],
    ["it is for another peer", { remoteId: "c.example.org" }],
    ["the gateway is another", { localId: "d.example.org" }],
  ])("when %s", async (_, options) => {
    const lab = new ResumptionLab(65);
    await lab.comeBack({ connections: [responderPolicy(options)] });
    expect(refusal(lab)).not.toBe("");
    expect(lab.gateway.ikeSas.some((ikeSa) => ikeSa.isResumed)).toBe(false);
    expect(lab.client.event("ticket-refused")!.message).toContain("TICKET_NACK");
    expect(exchanges(lab, 0).filter((type) => type === "IKE_SA_INIT").length).toBeGreaterThan(2);
  });
});

describe("a client has no ticket", () => {
  test("behind a goodbye of its own", async () => {
    const lab = new ResumptionLab(70);
    await lab.connect();
    lab.client.disconnect();
    await lab.link.settle();
    expect(lab.tickets).toEqual([]);
  });

  test("where either side resumes no sessions", async () => {
    const more = { resumes: false };
    for (const lives of [
      { client: { connections: [initiatorPolicy({ more })] } },
      { gateway: { connections: [responderPolicy({ more })] } },
    ]) {
      const lab = new ResumptionLab(71, lives);
      await lab.connect();
      expectEstablished(lab.client, lab.gateway);
      expect(lab.tickets).toEqual([]);
    }
  });

  test("that it goes on with under another configuration of its own", async () => {
    const lab = new ResumptionLab(72);
    await lab.connect();
    lab.restartClient({ connections: [initiatorPolicy({ psk: "another secret of some length" })] });
    lab.restartGateway({ connections: [responderPolicy({ psk: "another secret of some length" })] });
    const first = lab.link.transmitted.length;
    await lab.connect();
    expect(exchanges(lab, first)).not.toContain("IKE_SESSION_RESUME");
    expectEstablished(lab.client, lab.gateway);
  });
});

test("who has caught a ticket and not its keys gets no further, and its owner is served all the same", async () => {
  const lab = new ResumptionLab(80);
  await lab.connect();
  const own = lab.tickets;
  lab.restartGateway();
  lab.changeTicket(({ session }) => {
    const skD = session.skD.map((octet) => octet ^ 1);
    return { session: { ...session, skD, stamp: stampOf(initiatorPolicy(), skD) } };
  });
  lab.restartClient();
  await lab.connect();
  expect(lab.gateway.ikeSas.map(({ state }) => state)).toEqual(["authenticating"]);
  expect(lab.gateway.endpoint.counters.forged).toBe(1);
  lab.tickets = own;
  lab.restartClient();
  await lab.connect();
  expect(isResumed(lab)).toBe(true);
  expect(lab.gateway.state).toBe("established");
});

test("a ticket goes over the wire under protection alone, and shows nothing of the session when it comes back", async () => {
  const lab = new ResumptionLab(81);
  await lab.connect();
  const ticket = Buffer.from(lab.tickets[0]!.ticket);
  for (const { octets } of lab.link.transmitted) expect(Buffer.from(octets).includes(ticket)).toBe(false);
  lab.restartGateway();
  await lab.noticeRestart();
  lab.client.connect();
  const { octets } = lab.link.take();
  const shown = findNotify(decodeMessage(octets).payloads, NotifyType.TICKET_OPAQUE)!.data;
  expect(shown).toEqual(new Uint8Array(ticket));
  for (const text of ["a.example.org", "b.example.org", "tunnel"])
    expect(ticket.includes(Buffer.from(text))).toBe(false);
});

describe("logins", () => {
  let ca: TestAuthority;
  let credential: Credential;

  beforeAll(async () => {
    ca = await TestAuthority.create();
    credential = await ca.issue("b.example.org");
  });

  function lives(accounts: Accounts | undefined) {
    const eap = {
      kind: "eap",
      server: logins({ anna: "correct horse" }),
      ...(accounts && { accounts }),
    } as const;
    return {
      client: {
        connections: [
          authenticating(initiatorPolicy(), {
            local: { kind: "eap", client: login("anna", "correct horse") },
            remote: [{ kind: "certificate", trust: ca.trust("server") }],
          }),
        ],
      },
      gateway: {
        connections: [
          authenticating(responderPolicy({ remoteAddress: undefined }), {
            local: { kind: "certificate", credentials: [credential] },
            remote: [eap],
            isForAnybody: true,
          }),
        ],
      },
    };
  }

  const stamp = new Uint8Array(16).fill(3);
  const accountsWhere = (mayCome: boolean): Accounts => ({
    stampOf: () => stamp,
    confirms: (user, shown) => mayCome && user === "anna" && Buffer.compare(shown, stamp) === 0,
  });

  test("are not repeated, neither certificates nor EAP, while the account stays as it is", async () => {
    const { client, gateway } = lives(accountsWhere(true));
    const lab = new ResumptionLab(90, { client, gateway });
    await lab.connect();
    lab.client.logins.length = 0;
    lab.restartGateway(gateway);
    await lab.noticeRestart();
    await lab.connect();
    expect(isResumed(lab)).toBe(true);
    expect([lab.client.logins, lab.gateway.logins]).toEqual([[], []]);
    expect(lab.gateway.ikeSas[0]).toMatchObject({ user: "anna", client: "ikebana" });
    expectEstablished(lab.client, lab.gateway);
  });

  test("are due again for who was removed or has another password", async () => {
    const { client, gateway } = lives(accountsWhere(true));
    const lab = new ResumptionLab(91, { client, gateway });
    await lab.connect();
    lab.restartGateway(lives(accountsWhere(false)).gateway);
    await lab.noticeRestart();
    await lab.connect();
    expect(refusal(lab)).toContain("anna has to log in again");
    expectFullExchange(lab);
  });

  test("give no more tickets to who is removed or has another password while it is connected", async () => {
    let account = stamp;
    const accounts: Accounts = {
      stampOf: () => account,
      confirms: (_, shown) => Buffer.compare(shown, account) === 0,
    };
    const { client, gateway } = lives(accounts);
    const lab = new ResumptionLab(94, { client, gateway });
    await lab.connect();
    const [first] = lab.tickets;
    lab.client.rekey("ike");
    await lab.link.settle();
    const [second] = lab.tickets;
    expect(second).not.toEqual(first);
    // As if somebody had logged in by the other password meanwhile: that is another login than this one.
    account = new Uint8Array(16).fill(4);
    lab.client.rekey("ike");
    await lab.link.settle();
    expect(lab.tickets).toEqual([second]);
    expectEstablished(lab.client, lab.gateway);
  });

  test("by RADIUS hold as long as they would have, and go on under their Class", async () => {
    const pools = new AddressPools({ prefixes: ["10.77.0.0/24"] });
    const grants = { sessionSeconds: 100, class: [Uint8Array.of(1, 2, 3), Uint8Array.of(4)] };
    const { client, gateway } = lives(undefined);
    const [caller, called] = [client.connections[0]!, gateway.connections[0]!];
    const anywhere = ["0.0.0.0/0"];
    const life = {
      connections: [
        {
          ...authenticating(called, {
            remote: [{ kind: "eap", server: granting(logins({ anna: "correct horse" }), grants) }],
          }),
          ...GIVES,
          children: [childPolicy({ local: anywhere, remote: ["10.77.0.0/24"] })],
        },
      ],
      addresses: {
        assign: ({ user, device, wanted }: Parameters<Assign>[0]) => pools.assign({ user, device }, wanted),
        release: (lease: Parameters<AddressPools["release"]>[0]) => pools.release(lease),
      },
    };
    const asking = {
      ...caller,
      asks: { ipv4: true, ipv6: false },
      children: [childPolicy({ local: anywhere, remote: anywhere })],
    };
    const lab = new ResumptionLab(95, { client: { connections: [asking] }, gateway: life });
    await lab.connect();
    const began = lab.link.now;
    lab.link.run({ until: began + 60_000 });
    lab.restartGateway(life);
    await lab.noticeRestart();
    await lab.connect();
    expect(isResumed(lab)).toBe(true);
    const [session] = lab.gateway.sessions;
    expect(session).toMatchObject({
      kind: "session-began",
      session: { user: "anna", grants: { class: grants.class } },
    });
    expect(Math.abs(session!.session.endsAt - began - 100_000)).toBeLessThan(1_000);
    lab.link.run({ until: began + 98_000 });
    expect(lab.gateway.state).toBe("established");
    lab.link.run({ until: began + 102_000 });
    expect(lab.gateway.event("ike-sa-deleted")!.facts.reason).toBe("session-timeout");
  });

  test("that cannot be looked at again give tickets for an hour", async () => {
    for (const [seed, accounts, hours] of [
      [92, undefined, 1],
      [93, accountsWhere(true), 4],
    ] as const) {
      const { client, gateway } = lives(accounts);
      const lab = new ResumptionLab(seed, { client, gateway });
      await lab.connect();
      const { ticketUntil = 0 } = lab.client.ikeSas[0]!;
      expect(Math.round((ticketUntil - lab.link.now) / HOUR_MS)).toBe(hours);
    }
  });
});
