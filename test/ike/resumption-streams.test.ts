import { describe, expect, test } from "vitest";
import { ExchangeType, nameOf } from "../../src/iana/ikev2-parameters.ts";
import type { ConnectionPolicy } from "../../src/policy/connection.ts";
import { selectorsOfPacket } from "../../src/policy/packet-selectors.ts";
import { decodeHeader } from "../../src/wire/message.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { expectClean, expectEstablished } from "../support/simulator/expectations.ts";
import {
  childPolicy,
  initiatorPolicy,
  responderPolicy,
  SimulatedMachine,
} from "../support/simulator/index.ts";
import { ResumptionLab } from "../support/simulator/resumption.ts";

// Sessions that are resumed through TCP (RFC 5723 in RFC 9329), by clients that may be sent elsewhere meanwhile (RFC 5685).

const SECOND = "192.0.2.3";
const RESUMED = ["IKE_SESSION_RESUME", "IKE_SESSION_RESUME", "IKE_AUTH", "IKE_AUTH"];

function policies(mode: "auto" | "always"): readonly ConnectionPolicy[] {
  return [initiatorPolicy({ more: { tcp: { mode, port: 4500 } } })];
}

/** A client that has been connected once, and whose gateway, or itself, was started again. */
async function lost(
  mode: "auto" | "always",
  options: {
    readonly seed?: number;
    readonly restarts?: "client" | "gateway";
    readonly isUdpShut?: boolean;
  } = {},
): Promise<ResumptionLab> {
  const { seed = 1, restarts = "gateway", isUdpShut = false } = options;
  const life = { connections: policies(mode), hasTcp: true };
  const lab = new ResumptionLab(seed, { client: life });
  if (isUdpShut) shutUdp(lab);
  lab.client.connect();
  lab.link.run({ until: 20_000, isDone: () => lab.client.installed.size === 1 });
  await lab.link.settle();
  expect(lab.tickets).toHaveLength(1);
  if (restarts === "client") lab.restartClient(life);
  else {
    lab.restartGateway();
    await lab.noticeRestart();
    expect(lab.client.state).toBe("none");
  }
  return lab;
}

function shutUdp({ link }: ResumptionLab): void {
  link.fate = ({ path }) => (path.stream === undefined ? [] : [0]);
}

/** What was transmitted from `first` on, by UDP or by TCP alone. */
function exchanges({ link }: ResumptionLab, first: number, by?: "udp" | "tcp"): readonly string[] {
  return link.transmitted
    .slice(first)
    .filter(({ path }) => by === undefined || (path.stream === undefined) === (by === "udp"))
    .map(({ octets }) => nameOf(ExchangeType, decodeHeader(octets).exchangeType));
}

function expectResumed(
  { client, gateway }: Pick<ResumptionLab, "client" | "gateway">,
  isByTcp: boolean,
): void {
  expectEstablished(client, gateway);
  expect([client.ikeSas[0]!.isResumed, gateway.ikeSas[0]!.isResumed]).toEqual([true, true]);
  for (const { path } of [...client.ikeSas, ...gateway.ikeSas, ...client.installed.values()])
    expect(path.stream !== undefined).toBe(isByTcp);
}

describe("a session is resumed through TCP", () => {
  test("where there is nothing else: all of it by one connection", async () => {
    const lab = await lost("always");
    const first = lab.link.transmitted.length;
    await lab.connect();
    expectResumed(lab, true);
    expect(exchanges(lab, first, "tcp")).toEqual(RESUMED);
    expect(exchanges(lab, first, "udp")).toEqual([]);
    expect(new Set(lab.link.transmitted.slice(first).map(({ path }) => path.stream))).toEqual(new Set([2]));
  });

  test("where UDP is silent: by the same ticket in an exchange of its own, and the other goes without a word", async () => {
    const lab = await lost("auto", { restarts: "client" });
    shutUdp(lab);
    const first = lab.link.transmitted.length;
    lab.client.connect();
    lab.link.run({ until: lab.link.now + 20_000, isDone: () => lab.client.installed.size === 1 });
    expectResumed(lab, true);
    expect(exchanges(lab, first, "tcp")).toEqual(RESUMED);
    expect(new Set(exchanges(lab, first, "udp"))).toEqual(new Set(["IKE_SESSION_RESUME"]));
    expect(lab.client.eventNames()).not.toContain("ticket-refused");
    expect(lab.client.eventNames()).not.toContain("ike-sa-failed");
    lab.link.run({ until: lab.link.now + 40_000 });
    expectResumed(lab, true);
  });

  test("at once where TCP was the way of late; UDP that is open again wins, and the ticket is used once", async () => {
    for (const isUdpShut of [true, false]) {
      const lab = await lost("auto", { seed: isUdpShut ? 2 : 3, isUdpShut: true });
      // A round trip by TCP takes longer.
      lab.link.fate = ({ path }) => (path.stream !== undefined ? [20] : isUdpShut ? [] : [10]);
      const before = lab.link.now;
      lab.client.connect();
      lab.link.run({ until: before + 1_000 });
      expect(lab.client.installed.size).toBe(1);
      expect(exchanges(lab, 0).filter((type) => type === "IKE_SESSION_RESUME").length).toBeLessThanOrEqual(5);
      // The gateway forgets the other.
      lab.link.run({ until: before + 100_000 });
      expectResumed(lab, isUdpShut);
    }
  });

  test("at once where a packet has called for it: its child comes first in TCP too", () => {
    const inside = (name: string, remote: string) => ({ name, local: ["10.1.0.0/16"], remote: [remote] });
    const [lan, dmz] = [inside("lan", "10.2.0.0/16"), inside("dmz", "10.3.0.0/16")];
    const children = [lan, dmz].map((each) => childPolicy(each));
    const mirrored = [lan, dmz].map((each) =>
      childPolicy({ ...each, local: each.remote, remote: each.local }),
    );
    const client = {
      connections: [initiatorPolicy({ children, more: { tcp: { mode: "auto", port: 4500 } } })],
      hasTcp: true,
    } as const;
    const gateway = { connections: [responderPolicy({ children: mirrored })] };
    const lab = new ResumptionLab(10, { client, gateway });
    shutUdp(lab);
    lab.client.connect();
    lab.link.run({
      until: 20_000,
      isDone: () => lab.tickets.length === 1 && lab.client.installed.size === 2,
    });
    lab.restartGateway(gateway);
    lab.client.handle({ kind: "liveness", connection: "tunnel" });
    lab.link.run({ until: lab.link.now + 5_000, isDone: () => lab.client.state === "none" });
    const packet = innerPacket({ source: "10.1.0.5", destination: "10.3.0.9" });
    const trigger = { child: "dmz", ...selectorsOfPacket(packet)! };
    lab.client.handle({ kind: "initiate", connection: "tunnel", trigger });
    lab.link.run({ until: lab.link.now + 2_000, isDone: () => lab.client.installed.size === 2 });
    expect(lab.client.ikeSas).toMatchObject([{ isResumed: true, path: { stream: 2 } }]);
    expect(lab.client.childSas.map(({ name }) => name)).toEqual(["dmz", "lan"]);
  });

  test("with a cookie, where the gateway wants one", async () => {
    const lab = await lost("always", { seed: 4 });
    lab.restartGateway({ limits: { cookieThresholdCount: 0 } });
    await lab.connect();
    expectResumed(lab, true);
    expect(lab.gateway.endpoint.counters.cookiesDemanded).toBe(1);
  });
});

describe("a ticket that comes to nothing in TCP", () => {
  test("since it is refused: IKE_SA_INIT follows at once, by the same connection", async () => {
    for (const mode of ["always", "auto"] as const) {
      const lab = await lost(mode, { seed: mode === "auto" ? 5 : 6, isUdpShut: true });
      lab.keys = [];
      lab.restartGateway();
      shutUdp(lab);
      const first = lab.link.transmitted.length;
      lab.client.connect();
      lab.link.run({ until: lab.link.now + 2_000 });
      expectEstablished(lab.client, lab.gateway);
      expect(lab.client.ikeSas[0]!.isResumed).toBe(false);
      expect(exchanges(lab, first, "tcp").slice(0, 4)).toEqual([
        "IKE_SESSION_RESUME",
        "IKE_SESSION_RESUME",
        "IKE_SA_INIT",
        "IKE_SA_INIT",
      ]);
      expect(lab.link.openStreams.size).toBe(2);
    }
  });

  test("since the connection breaks: the attempt fails, and the ticket is good for the next one", async () => {
    const lab = await lost("always", { seed: 7 });
    lab.client.connect();
    lab.link.breakStream(2);
    expect(lab.client.event("ike-sa-failed")!.message).toContain("has ended, or has not come about");
    expect(lab.client.state).toBe("none");
    expect(lab.client.endpoint.deadline).toBeUndefined();
    lab.link.inFlight.length = 0;
    await lab.connect();
    expectResumed(lab, true);
  });

  test("since no connection can be opened", async () => {
    const lab = await lost("always", { seed: 8, restarts: "client" });
    lab.restartClient({ connections: policies("always") });
    lab.client.connect();
    expect(lab.client.event("ike-sa-failed")!.message).toContain("no TCP connection to 192.0.2.2");
    expect(lab.tickets).toHaveLength(1);
    expectClean(lab.client);
  });

  test("since nobody answers: IKE_SA_INIT by both, and one failure in the end", async () => {
    const lab = await lost("auto", { seed: 9, restarts: "client" });
    lab.link.fate = () => [];
    lab.client.connect();
    lab.link.run({ until: lab.link.now + 400_000 });
    expect(lab.client.eventNames().filter((name) => name === "ike-sa-failed")).toHaveLength(1);
    expectClean(lab.client);
    expect(lab.tickets).toHaveLength(1);
  });
});

describe("sent elsewhere, in TCP,", () => {
  function withSecond(lab: ResumptionLab): SimulatedMachine {
    const second: SimulatedMachine = new SimulatedMachine({
      name: "second",
      address: SECOND,
      seed: 700,
      connections: [responderPolicy({ localAddress: SECOND })],
      clock: lab.link,
      transmit: (octets, path) => lab.link.transmit(second, octets, path),
    });
    lab.link.add(second);
    return second;
  }

  function expectAtSecond({ client, gateway, link }: ResumptionLab, second: SimulatedMachine): void {
    link.run({ until: link.now + 40_000 });
    expectEstablished(client, second);
    expectClean(gateway);
    const [childSa] = client.installed.values();
    expect(childSa!.path.remote.address).toBe(SECOND);
    expect(childSa!.path.stream).toBeDefined();
  }

  const redirecting = (when: "init" | "auth") => ({
    connections: [responderPolicy({ more: { redirectTo: { host: SECOND, when } } })],
  });

  test.each([
    { mode: "always", when: "init" },
    { mode: "always", when: "auth" },
    { mode: "auto", when: "init" },
    { mode: "auto", when: "auth" },
  ] as const)("a client that calls ($mode, $when) has its tunnel there, in TCP as well", ({ mode, when }) => {
    const lab = new ResumptionLab(20, {
      client: { connections: policies(mode), hasTcp: true },
      gateway: redirecting(when),
    });
    const second = withSecond(lab);
    shutUdp(lab);
    lab.client.connect();
    expectAtSecond(lab, second);
    expect(lab.client.eventNames().filter((name) => name === "redirected")).toHaveLength(1);
    expect(lab.client.eventNames()).not.toContain("ike-sa-failed");
  });

  test.each([
    { mode: "always", when: "init" },
    { mode: "always", when: "auth" },
    { mode: "auto", when: "init" },
    { mode: "auto", when: "auth" },
  ] as const)("a client that resumes its session ($mode, $when) goes there", async ({ mode, when }) => {
    const lab = await lost(mode, { seed: 21, isUdpShut: true });
    const second = withSecond(lab);
    lab.restartGateway(redirecting(when));
    shutUdp(lab);
    const first = lab.link.transmitted.length;
    lab.client.connect();
    lab.link.run({ until: lab.link.now + 10 });
    // Who goes elsewhere is told in IKE_AUTH.
    expect(exchanges(lab, first, "tcp").slice(0, 4)).toEqual(RESUMED);
    expectAtSecond(lab, second);
    expect(lab.client.ikeSas[0]!.isResumed).toBe(false);
  });

  test("a client whose session was resumed can be told later", async () => {
    const lab = await lost("always", { seed: 22 });
    const second = withSecond(lab);
    await lab.connect();
    expectResumed(lab, true);
    lab.gateway.handle({ kind: "redirect", connection: "tunnel", host: SECOND });
    expectAtSecond(lab, second);
    expect(lab.link.transmitted.some(({ path }) => path.stream === undefined)).toBe(false);
  });
});
