import { describe, expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../src/ike/limits.ts";
import { expectClean, expectEstablished, expectSettled } from "../support/simulator/expectations.ts";
import { type Pair, type PolicyOptions, pair, type SimulatedMachine } from "../support/simulator/index.ts";
import { forEachSeed, seedCount } from "../support/simulator/seeds.ts";

// An IKE SA goes from UDP to TCP and back as it stands (RFC 9329 section 7.1), between two of us.

const HOME = "192.0.2.1";
const AWAY = "198.51.100.1";
const OFFICE = "192.0.2.2";
const MOBILE = { initiator: [HOME, AWAY], responder: [OFFICE] };
const { udpRetryMs } = DEFAULT_LIMITS;

const tcp = (mode: "auto" | "always"): PolicyOptions => ({ more: { tcp: { mode, port: 4500 } } });

interface Firewall {
  udp: boolean;
  tcp: boolean;
}

/** What the network lets through can be changed any time. */
function world(options: Partial<Parameters<typeof pair>[0]> = {}): Pair & { readonly lets: Firewall } {
  const all = pair({ seed: 1, hasTcp: true, mobile: MOBILE, initiator: tcp("auto"), ...options });
  const lets = { udp: true, tcp: true };
  all.initiator.owned = [HOME];
  all.link.fate = ({ path }) => (lets[path.stream === undefined ? "udp" : "tcp"] ? [10] : []);
  return { ...all, lets };
}

function connected(options: Parameters<typeof world>[0] = {}): ReturnType<typeof world> {
  const all = world(options);
  all.initiator.connect();
  all.link.run({ until: 1_000 });
  expectEstablished(all.initiator, all.responder);
  return all;
}

/** Where IKE and ESP of both sides go: 0 for UDP. */
const streamsOf = (...machines: readonly SimulatedMachine[]): readonly number[] =>
  machines.flatMap((machine) =>
    [...machine.ikeSas, ...machine.installed.values()].map(({ path }) => path.stream ?? 0),
  );

function expectOn({ initiator, responder }: Pair, stream: number): void {
  expectEstablished(initiator, responder);
  expect(streamsOf(initiator, responder)).toEqual([stream, stream, stream, stream]);
}

const spisOf = ({ initiator, responder }: Pair) => [
  initiator.ikeSas.map(({ initiatorSpi }) => initiatorSpi),
  [...initiator.installed.keys()],
  [...responder.installed.keys()],
];

/** Somebody asks for a sign of life, and all that comes of it is over. */
function ask({ initiator, link }: Pair, forMs = 10_000): void {
  initiator.handle({ kind: "liveness", connection: "tunnel" });
  link.run({ until: link.now + forMs });
}

function fallen(options: Parameters<typeof world>[0] = {}): ReturnType<typeof world> {
  const all = connected(options);
  all.lets.udp = false;
  ask(all);
  expectOn(all, 1);
  return all;
}

describe("when UDP falls silent", () => {
  test("the same SAs go on in TCP, which carries the request once", () => {
    const all = connected();
    const spis = spisOf(all);
    all.lets.udp = false;
    const first = all.link.transmitted.length;
    ask(all, 3_500);
    expectOn(all, 1);
    expect(spisOf(all)).toEqual(spis);
    expect(all.initiator.event("tcp-tried")).toBeDefined();
    const [changed] = all.initiator.events.filter(({ name }) => name === "path-changed");
    expect(changed!.message).toBe("b.example.org is reached by TCP now");
    const bySide = all.link.transmitted
      .slice(first)
      .filter(({ from, path }) => from === all.initiator && path.stream !== undefined);
    // The request that nobody has answered, and UPDATE_SA_ADDRESSES.
    expect(bySide).toHaveLength(2);
    all.initiator.disconnect();
    all.link.run({ until: all.link.now + 40_000 });
    expectClean(all.initiator, all.responder);
  });

  test("also when the gateway alone has something to say, once the caller asks", () => {
    const all = connected();
    all.lets.udp = false;
    all.responder.rekey("children");
    all.link.run({ until: all.link.now + 1_000 });
    ask(all, 40_000);
    expectOn(all, 1);
    expect(all.responder.eventNames()).toContain("child-sa-rekeyed");
  });

  test("and what is under way is done in TCP", () => {
    for (const what of ["children", "ike"] as const) {
      const all = connected();
      all.lets.udp = false;
      all.initiator.rekey(what);
      all.link.run({ until: all.link.now + 30_000 });
      expectOn(all, 1);
      expectSettled(all);
      expect(all.initiator.eventNames()).toContain(what === "ike" ? "ike-sa-rekeyed" : "child-sa-rekeyed");
    }
  });

  test("an answer that was lost by UDP comes by TCP, and the request is not done twice", () => {
    const all = connected();
    const { responder, link } = all;
    link.fate = ({ from, path }) => (path.stream !== undefined || from !== responder ? [10] : []);
    all.initiator.rekey("children");
    link.run({ until: link.now + 30_000 });
    expectOn(all, 1);
    expectSettled(all);
  });

  test("UDP that answers after all is not left, and the connection is", () => {
    const all = connected();
    const { initiator, link, lets } = all;
    lets.udp = false;
    lets.tcp = false;
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    link.run({ until: link.now + 4_000 });
    expect([...initiator.endpoint.streams]).toEqual([[1, "negotiating"]]);
    lets.udp = true;
    link.run({ until: link.now + 10_000 });
    expectOn(all, 0);
    expect([...initiator.endpoint.streams]).toEqual([]);
  });

  test("a connection that is refused is opened again, a few times, and a peer that is gone is given up as ever", () => {
    const all = connected();
    const { initiator, link } = all;
    link.fate = () => [];
    initiator.handle({ kind: "liveness", connection: "tunnel" });
    let opened = 0;
    for (let i = 0; i < 200 && initiator.ikeSas.length > 0; i++) {
      link.run({ until: link.now + 500 });
      for (const stream of [...link.openStreams]) {
        opened++;
        link.breakStream(stream);
      }
    }
    expect(initiator.event("ike-sa-deleted")!.facts.reason).toBe("timeout");
    expect(opened).toBeGreaterThan(1);
    expect(opened).toBeLessThan(8);
    expectClean(initiator);
  });

  test.each([
    { why: "it is not wanted", options: { initiator: {} } },
    { why: "the peer does no MOBIKE", options: { responder: { isMobile: false } } },
  ])("nothing is opened where $why", ({ options }) => {
    const all = connected(options);
    all.lets.udp = false;
    ask(all, 100_000);
    expect(all.link.openStreams.size).toBe(0);
    expect(all.initiator.event("ike-sa-deleted")!.facts.reason).toBe("timeout");
  });
});

describe("in TCP", () => {
  test("UDP is asked about, and taken again when it answers", () => {
    const all = fallen();
    const spis = spisOf(all);
    const { link, lets } = all;
    link.run({ until: link.now + 2 * udpRetryMs });
    expectOn(all, 1);
    lets.udp = true;
    link.run({ until: link.now + udpRetryMs + 5_000 });
    expectOn(all, 0);
    expect(spisOf(all)).toEqual(spis);
    expect(all.initiator.events.findLast(({ name }) => name === "path-changed")!.message).toBe(
      "b.example.org is reached by UDP now",
    );
  });

  test("what asks for UDP in vain is answered by TCP, and little is sent", () => {
    const all = fallen();
    const { initiator, link } = all;
    const first = link.transmitted.length;
    link.run({ until: link.now + 10 * udpRetryMs });
    expectOn(all, 1);
    const byUdp = link.transmitted.slice(first).filter(({ path }) => path.stream === undefined);
    expect(byUdp.every(({ from }) => from === initiator)).toBe(true);
    expect(byUdp.length).toBeGreaterThanOrEqual(8);
    expect(byUdp.length).toBeLessThanOrEqual(22);
  });

  test("UDP that comes and goes is believed later each time", () => {
    const all = fallen();
    const { link, lets } = all;
    const waited: number[] = [];
    for (let time = 0; time < 3; time++) {
      const since = link.now;
      lets.udp = true;
      link.run({ until: since + 20 * udpRetryMs, isDone: () => streamsOf(all.initiator)[0] === 0 });
      waited.push(link.now - since);
      link.run({ until: link.now + 1_000 });
      lets.udp = false;
      ask(all);
      expect(streamsOf(all.initiator)[0]).not.toBe(0);
    }
    expect(waited[1]! / waited[0]!).toBeGreaterThan(1.5);
    expect(waited[2]! / waited[1]!).toBeGreaterThan(1.5);
  });

  test("a network that has changed is a reason to ask at once, though not again and again", () => {
    const all = fallen();
    const { initiator, link, lets } = all;
    lets.udp = true;
    initiator.renumber(HOME, AWAY);
    link.run({ until: link.now + 500 });
    expectOn(all, 0);

    lets.udp = false;
    ask(all);
    const first = link.transmitted.length;
    for (let i = 0; i < 50; i++) {
      initiator.renumber(HOME, ...(i % 2 === 0 ? [] : [AWAY]));
      link.run({ until: link.now + 100 });
    }
    const byUdp = link.transmitted.slice(first).filter(({ path }) => path.stream === undefined);
    expect(byUdp.length).toBeLessThanOrEqual(4);
  });

  test("a caller elsewhere opens another connection, and goes back to UDP where that is open", () => {
    const all = fallen();
    all.initiator.renumber(AWAY);
    all.link.run({ until: all.link.now + 5_000 });
    expectOn(all, 2);
    all.lets.udp = true;
    all.initiator.renumber(HOME);
    all.link.run({ until: all.link.now + 500 });
    expectOn(all, 0);
    expect(all.responder.ikeSas[0]!.path.remote.address).toBe(HOME);
  });

  test("that falls silent, UDP is the way back", () => {
    const all = fallen();
    all.lets.tcp = false;
    all.lets.udp = true;
    ask(all);
    expectOn(all, 0);
  });

  test("that breaks, UDP is asked at once", () => {
    const all = fallen();
    all.lets.udp = true;
    all.link.breakStream(1);
    all.link.run({ until: all.link.now + 1_000 });
    expectOn(all, 0);
    expect(all.initiator.endpoint.streams.size).toBe(0);
  });

  test("from the first message on, UDP is tried later all the same, and not where it is never wanted", () => {
    for (const mode of ["auto", "always"] as const) {
      const all = world({ initiator: tcp(mode) });
      all.lets.udp = false;
      all.initiator.connect();
      all.link.run({ until: 10_000 });
      expectOn(all, 1);
      all.lets.udp = true;
      all.link.run({ until: all.link.now + 3 * udpRetryMs });
      expectOn(all, mode === "auto" ? 0 : 1);
      expect(all.initiator.ikeSas[0]!.path.remote).toEqual({ address: OFFICE, port: 4500 });
    }
  });

  test("a rekeyed IKE SA goes on asking", () => {
    const all = fallen();
    all.initiator.rekey("ike");
    all.link.run({ until: all.link.now + 1_000 });
    expectOn(all, 1);
    all.lets.udp = true;
    all.link.run({ until: all.link.now + udpRetryMs + 5_000 });
    expectOn(all, 0);
    all.initiator.disconnect();
    all.link.run({ until: all.link.now + 100_000 });
    expectClean(all.initiator, all.responder);
  });
});

test("in a connection of somebody else's, what was caught moves no ESP", () => {
  const all = connected();
  const { initiator, responder, link, lets } = all;
  lets.udp = false;
  lets.tcp = false;
  initiator.handle({ kind: "liveness", connection: "tunnel" });
  link.run({ until: link.now + 4_000 });
  initiator.renumber(AWAY);
  const update = link.transmitted.at(-1)!;
  const thief = { local: { address: OFFICE, port: 4500 }, remote: { address: "203.0.113.9", port: 40_000 } };
  link.openStreams.add(99);
  for (const caught of [link.transmitted.find(({ path }) => path.stream === 1)!, update])
    responder.handle({ kind: "datagram", octets: caught.octets, path: { ...thief, stream: 99 } });
  link.run({ until: link.now + 1_000 });
  expect([...responder.installed.values()][0]!.path).toMatchObject({ remote: { address: HOME } });
  lets.udp = true;
  ask(all);
  expectOn(all, 0);
});

test("UDP and TCP come and go at random, and the same IKE SA is there in the end", () => {
  forEachSeed(seedCount(10), (seed) => {
    const all = connected({ seed });
    const { initiator, lets } = all;
    const { initiatorSpi } = initiator.ikeSas[0]!;
    for (let i = 0; i < 6; i++) {
      const bits = (seed >>> i) % 3;
      lets.udp = bits !== 0;
      lets.tcp = bits !== 1;
      ask(all, 20_000);
      if (i === seed % 6) initiator.renumber(i % 2 === 0 ? AWAY : HOME);
    }
    lets.udp = true;
    lets.tcp = true;
    ask(all, 2 * udpRetryMs);
    expectSettled(all);
    expect(initiator.ikeSas[0]!.initiatorSpi).toBe(initiatorSpi);
    expect(new Set(streamsOf(all.initiator, all.responder)).size).toBe(1);
  });
});
