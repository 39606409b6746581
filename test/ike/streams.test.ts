import { describe, expect, test } from "vitest";
import { ExchangeType, PayloadType } from "../../src/iana/ikev2-parameters.ts";
import { decodeHeader } from "../../src/wire/message.ts";
import { expectClean, expectEstablished } from "../support/simulator/expectations.ts";
import {
  establishedPair,
  INITIATOR_ADDRESS,
  initiatorPolicy,
  type Pair,
  type PolicyOptions,
  pair,
  type SimulatedMachine,
} from "../support/simulator/index.ts";
import { ResumptionLab } from "../support/simulator/resumption.ts";

// IKE in TCP (RFC 9329) between two of us; streams are what `openStream` opens.

const MOBILE = { initiator: ["192.0.2.1", "198.51.100.1"], responder: ["192.0.2.2"] };
const tcp = (mode: "auto" | "always"): PolicyOptions => ({ more: { tcp: { mode, port: 4500 } } });

function tcpPair(
  mode: "auto" | "always",
  options: Partial<Parameters<typeof pair>[0]> = {},
): ReturnType<typeof pair> {
  return pair({ seed: 1, hasTcp: true, initiator: tcp(mode), ...options });
}

function connectedByTcp(options: Partial<Parameters<typeof pair>[0]> = {}): Pair {
  return establishedPair({ seed: 1, hasTcp: true, initiator: tcp("always"), ...options });
}

/** Nothing that goes by UDP arrives. */
function blockUdp({ link }: Pair): void {
  link.fate = ({ path }) => (path.stream === undefined ? [] : [0]);
}

const streamsOf = (machine: SimulatedMachine): readonly (number | undefined)[] => [
  ...machine.ikeSas.map(({ path }) => path.stream),
  ...[...machine.installed.values()].map(({ path }) => path.stream),
];

function expectOn(all: Pair, stream: number | undefined): void {
  expectEstablished(all.initiator, all.responder);
  expect([...streamsOf(all.initiator), ...streamsOf(all.responder)]).toEqual([
    stream,
    stream,
    stream,
    stream,
  ]);
}

describe("calling", () => {
  test("always: all of it goes through one connection, and no message twice", () => {
    const all = tcpPair("always");
    all.initiator.connect();
    all.link.deliverAll();
    expectOn(all, 1);
    expect(all.link.transmitted.every(({ path }) => path.stream === 1)).toBe(true);
    expect(all.link.transmitted).toHaveLength(4);
    const [established] = all.initiator.events.filter(({ name }) => name === "ike-sa-established");
    expect(established!.message).toContain("established over TCP");
    expect([...all.initiator.endpoint.streams]).toEqual([[1, "established"]]);
  });

  test("auto: where UDP is answered there is no connection", () => {
    const all = tcpPair("auto");
    all.initiator.connect();
    all.link.deliverAll();
    expectOn(all, undefined);
    expect(all.link.openStreams.size).toBe(0);
  });

  test("auto: where UDP is silent TCP is tried in an exchange of its own, and the other goes without a word", () => {
    const all = tcpPair("auto");
    blockUdp(all);
    all.initiator.connect();
    all.link.run({ until: 20_000, isDone: () => all.initiator.installed.size === 1 });
    expect(all.link.now).toBeLessThan(5_000);
    expectOn(all, 1);
    expect(all.initiator.eventNames()).not.toContain("ike-sa-failed");
    expect(all.initiator.event("tcp-tried")!.message).toBe(
      "192.0.2.2:500 has not answered yet: 192.0.2.2:4500 is tried over TCP as well",
    );
    const inits = all.link.transmitted.filter(
      ({ octets }) => decodeHeader(octets).exchangeType === ExchangeType.IKE_SA_INIT,
    );
    const spisBy = (isStream: boolean): ReadonlySet<bigint> =>
      new Set(
        inits
          .filter(({ path }) => (path.stream !== undefined) === isStream)
          .map(({ octets }) => decodeHeader(octets).initiatorSpi),
      );
    expect([spisBy(false).size, spisBy(true).size]).toEqual([1, 1]);
    expect(spisBy(false)).not.toEqual(spisBy(true));
  });

  test("auto: a peer that is there again by UDP is reached, however often TCP was refused", () => {
    const all = tcpPair("auto");
    let isBack = false;
    all.link.fate = () => (isBack ? [0] : []);
    all.initiator.connect();
    for (let at = 1_000; at <= 20_000; at += 1_000) {
      all.link.run({ until: at });
      for (const stream of all.link.openStreams) all.link.breakStream(stream);
    }
    expect(all.initiator.eventNames().filter((name) => name === "tcp-tried").length).toBeGreaterThan(1);
    isBack = true;
    all.link.run({ until: 60_000, isDone: () => all.initiator.installed.size === 1 });
    for (const stream of all.link.openStreams) all.link.breakStream(stream);
    expectOn(all, undefined);
    expect(all.initiator.eventNames()).not.toContain("ike-sa-failed");
  });

  test("auto: nobody by either way is one failure", () => {
    const all = tcpPair("auto");
    all.link.fate = () => [];
    all.initiator.connect();
    all.link.run({ until: 400_000 });
    expect(all.initiator.eventNames().filter((name) => name === "ike-sa-failed")).toHaveLength(1);
    expectClean(all.initiator);
  });

  test("auto: where TCP was the way of late, both begin at once; UDP that is open again wins", () => {
    const all = tcpPair("auto");
    blockUdp(all);
    all.initiator.connect();
    all.link.run({ until: 20_000, isDone: () => all.initiator.installed.size === 1 });
    all.initiator.disconnect();
    all.link.deliverAll();
    const before = all.link.now;
    all.initiator.connect();
    all.link.run({ until: before + 1, isDone: () => all.initiator.installed.size === 1 });
    expectOn(all, 2);
    all.initiator.disconnect();
    all.link.deliverAll();

    // A round trip by TCP takes longer.
    all.link.fate = ({ path }) => [path.stream === undefined ? 10 : 20];
    all.initiator.connect();
    all.link.run({ until: all.link.now + 1_000, isDone: () => all.initiator.installed.size === 1 });
    // Nobody uses it.
    all.link.breakStream(3);
    expectOn(all, undefined);
  });

  test("taken down while both are tried, neither is left", () => {
    const all = tcpPair("auto");
    all.link.fate = () => [];
    all.initiator.connect();
    all.link.run({ until: 4_000 });
    expect(all.initiator.ikeSas).toHaveLength(2);
    all.initiator.disconnect();
    expectClean(all.initiator);
  });

  test("always: a connection that is refused is a failure, and one that cannot be tried as well", () => {
    const all = tcpPair("always");
    all.initiator.connect();
    all.link.breakStream(1);
    expect(all.initiator.event("ike-sa-failed")!.message).toContain(
      "192.0.2.2:4500 has ended, or has not come about",
    );
    expectClean(all.initiator);
    const without = pair({ seed: 1, initiator: tcp("always") });
    without.initiator.connect();
    expect(without.initiator.event("ike-sa-failed")!.message).toContain("no TCP connection to 192.0.2.2");
    expectClean(without.initiator);
  });

  test("a cookie is asked for and shown through the same connection", () => {
    const all = tcpPair("always", { limits: { cookieThresholdCount: 0 } });
    all.initiator.connect();
    all.link.deliverAll();
    expectOn(all, 1);
    expect(all.responder.endpoint.counters.cookiesDemanded).toBe(1);
  });
});

describe("a connection that stands", () => {
  test("a request that is not answered is not sent again, and given up as late as any other", () => {
    const all = connectedByTcp();
    const { initiator, link } = all;
    link.fate = () => [];
    const sent = (): number => link.transmitted.filter(({ from }) => from === initiator).length;
    const before = sent();
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    link.run({ until: link.now + 200_000 });
    expect(sent()).toBe(before + 1);
    expect(initiator.event("ike-sa-deleted")!.facts.reason).toBe("timeout");
  });

  /** Somebody behind a NAT who has much to say, and then is silent. */
  function talkThroughNat(initiator: PolicyOptions): Pair {
    const local = Array.from({ length: 100 }, (_, i) => `10.1.${2 * i}.0/24`);
    const responder = { remote: local, remoteAddress: undefined };
    const all = pair({ seed: 1, hasTcp: true, linkMtu: 1500, initiator: { ...initiator, local }, responder });
    const { link } = all;
    for (const port of [500, 4500, 20_001])
      link.translate({ address: INITIATOR_ADDRESS, port }, { address: "198.51.100.1", port: port + 1 });
    all.initiator.connect();
    link.deliverAll();
    expectEstablished(all.initiator, all.responder);
    expect(all.initiator.ikeSas[0]).toMatchObject({ isBehindNat: true });
    link.run({ until: link.now + 55_000 });
    return all;
  }

  const fragmentsOf = ({ link }: Pair): number =>
    link.transmitted.filter(({ octets }) => decodeHeader(octets).nextPayload === PayloadType.SKF).length;

  test("there are no keepalives, no probes of the path and no fragments", () => {
    const all = talkThroughNat(tcp("always"));
    const { initiator, responder, link } = all;
    expectOn(all, 1);
    expect([initiator.keepalives, responder.keepalives]).toEqual([[], []]);
    expect(link.transmitted).toHaveLength(4);
    expect(Math.max(...link.transmitted.map(({ octets }) => octets.length))).toBeGreaterThan(1500);
    expect(fragmentsOf(all)).toBe(0);
    expect(initiator.ikeSas[0]!.pathMtu).toBeUndefined();
    expect(initiator.pathMtus.size).toBe(0);
  });

  test("in UDP there are all of them, behind the same NAT", () => {
    const all = talkThroughNat({});
    const { initiator, link } = all;
    expect(initiator.keepalives).toHaveLength(2);
    expect(link.transmitted.length).toBeGreaterThan(4 + fragmentsOf(all));
    expect(fragmentsOf(all)).toBe(4);
    expect(initiator.ikeSas[0]!.pathMtu).toBe(1500);
  });

  test("child SAs and the IKE SA are rekeyed through it", () => {
    const all = connectedByTcp();
    all.initiator.rekey("children");
    all.link.deliverAll();
    all.responder.rekey("ike");
    all.link.deliverAll();
    all.link.run({ until: all.link.now + 1 });
    expectOn(all, 1);
  });
});

describe("a connection that breaks", () => {
  test.each([true, false])(
    "is opened again by the caller, and all goes through the next one (MOBIKE: %s)",
    (isMobile) => {
      const all = connectedByTcp(isMobile ? { mobile: MOBILE } : {});
      const { initiator, responder, link } = all;
      const spis = [...initiator.installed.keys(), ...responder.installed.keys()];
      link.breakStream(1);
      expect([...link.openStreams]).toEqual([2]);
      link.deliverAll();
      expectOn(all, 2);
      expect([...initiator.installed.keys(), ...responder.installed.keys()]).toEqual(spis);
      expect([...responder.endpoint.streams.keys()]).toEqual([2]);
    },
  );

  test("while a request is under way: it goes out again in the next one", () => {
    const all = connectedByTcp();
    all.initiator.rekey("children");
    all.link.breakStream(1);
    all.link.deliverAll();
    all.link.run({ until: all.link.now + 1 });
    expectOn(all, 2);
    expect(all.initiator.eventNames()).toContain("child-sa-rekeyed");
  });

  test("while a request of the side that was called is under way", () => {
    const all = connectedByTcp();
    all.responder.rekey("children");
    all.link.breakStream(1);
    all.link.deliverAll();
    all.link.run({ until: all.link.now + 30_000 });
    expectOn(all, 2);
    expect(all.responder.eventNames()).toContain("child-sa-rekeyed");
  });

  test("while whoever calls is not known yet: nothing is left of it", () => {
    const all = tcpPair("always");
    all.initiator.connect();
    all.link.deliver();
    all.link.deliver();
    expect([all.initiator.state, all.responder.state]).toEqual(["authenticating", "authenticating"]);
    all.link.breakStream(1);
    expectClean(all.initiator, all.responder);
  });

  test("the side that was called waits, and opens none", () => {
    const all = connectedByTcp();
    all.responder.handle({ kind: "stream-closed", stream: 1 });
    expect([...all.link.openStreams]).toEqual([1]);
    expect(all.responder.state).toBe("established");
  });

  test("again and again: with growing pauses, and not for ever", () => {
    const all = connectedByTcp();
    const { initiator, link } = all;
    link.fate = () => [];
    link.breakStream(1);
    const opened: number[] = [];
    for (let i = 0; i < 2_000 && initiator.ikeSas.length > 0; i++) {
      for (const stream of link.openStreams) {
        opened.push(link.now);
        link.breakStream(stream);
      }
      link.run({ until: link.now + 100 });
    }
    expect(initiator.ikeSas).toHaveLength(0);
    expect(initiator.event("ike-sa-deleted")!.facts.reason).toBe("timeout");
    expect(opened.length).toBeLessThan(30);
    expect(opened.at(-1)! - opened[0]!).toBeGreaterThan(60_000);
  });

  test("an old message by an old connection does not draw the peer back", () => {
    const all = connectedByTcp();
    const { initiator, responder, link } = all;
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    const old = link.take();
    link.breakStream(1);
    link.deliverAll();
    expectOn(all, 2);
    link.openStreams.add(1);
    link.arrive(old);
    expect(responder.ikeSas[0]!.path.stream).toBe(2);
  });

  test("a peer that has lost the IKE SA shows it, and whoever calls again has another connection", async () => {
    const connections = [initiatorPolicy(tcp("always"))];
    const lab = new ResumptionLab(1, { client: { connections, hasTcp: true } });
    await lab.connect();
    lab.restartGateway();
    const before = lab.link.now;
    await lab.noticeRestart();
    expect(lab.client.event("ike-sa-deleted")!.facts.reason).toBe("peer-restarted");
    expectClean(lab.client);
    expect(lab.link.now).toBe(before);
    await lab.connect();
    expectOn({ initiator: lab.client, responder: lab.gateway, link: lab.link }, 2);
  });

  test("a peer that has ended the IKE SA unheard, and cannot show it, is given up as a silent one", () => {
    const all = connectedByTcp();
    const { initiator, responder, link } = all;
    responder.handle({ kind: "terminate", connection: "tunnel" });
    for (let i = link.inFlight.length; i > 0; i--) link.drop();
    link.run({ until: link.now + 300_000 });
    expect(initiator.event("refused")!.message).toContain("INVALID_IKE_SPI, without protection");
    expect(initiator.event("ike-sa-deleted")!.facts.reason).toBe("timeout");
    expect(initiator.state).toBe("none");
  });
});

describe("a caller that moves", () => {
  test("opens a connection from its new address", () => {
    const all = connectedByTcp({ mobile: MOBILE });
    all.initiator.renumber("198.51.100.1");
    all.link.deliverAll();
    expectOn(all, 2);
    expect(all.responder.ikeSas[0]!.path.remote.address).toBe("198.51.100.1");
  });

  test("without a way it keeps what it has until there is one", () => {
    const all = connectedByTcp({ mobile: MOBILE });
    all.initiator.renumber();
    all.link.breakStream(1);
    expect(all.link.openStreams.size).toBe(0);
    all.link.run({ until: all.link.now + 10_000 });
    all.initiator.owned = ["192.0.2.1"];
    all.link.run({ until: all.link.now + 6_000 });
    expect(all.link.openStreams.size).toBe(1);
    expectOn(all, [...all.link.openStreams][0]);
  });
});
