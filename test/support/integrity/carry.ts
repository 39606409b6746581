import { expect } from "vitest";
import { CAMPAIGN, progress } from "../campaign.ts";
import { carryStream, type Way } from "../carried.ts";
import type { Faults } from "../faults.ts";
import type { TestHost } from "../namespace.ts";
import { newDrops, type PathDrops, readPathDrops, sumOf } from "../path-drops.ts";
import type { RelayControl } from "../relay/relayed-hosts.ts";
import { DATAGRAM_PORT, DatagramLink } from "./datagram-link.ts";

// What goes into a tunnel comes out of it, to the octet, whatever the offloads of either side and whatever the path does. Tunnels
// come in pairwise combinations of peer, role, offloads and faults; each is used in both directions, for IPv4 and for IPv6.

/** Tunnels in all test files together, and the legs that each is used for. */
const TUNNEL_COUNT = 8;
const LEG_COUNT = 4;
/** Of TCP, over all tunnels. With a datagram of each length, shared among them, that is 64 MB; in the long form each leg has all lengths. */
const STREAM_OCTETS = CAMPAIGN ? 1_000_000_000 : 24_000_000;
const LONGEST_DATAGRAM = 9000;
/** Datagrams that are on their way at once, and their packets: fewer than a replay window of 64 has room for. */
const BURST_COUNT = 32;
const BURST_PACKETS = 40;
const PACKET_OCTETS = 1300;
const SETTLE_MS = 10_000;
/** With other numbers the same tests send other octets in other pieces, and other packets are hurt. */
const SEED = process.env.IKEBANA_SEED ?? "0";

/** 1 % loss and 5 % reordering. */
export const BAD_PATH: Faults = { loss: 0.01, reordering: 0.05 };

/** A tunnel between two hosts with a relay between them. */
export interface CarriedTunnel {
  /** From 0; no two tests have the same one. */
  readonly number: number;
  readonly what: string;
  readonly left: TestHost;
  readonly right: TestHost;
  readonly relay: RelayControl;
  readonly faults: Faults;
  /** Addresses inside, IPv4 first. */
  readonly inside: { readonly left: readonly string[]; readonly right: readonly string[] };
  /** What the data plane of each end has dropped so far, by cause; nothing of an end that is not ours. */
  ownDrops(): Promise<readonly [left: PathDrops, right: PathDrops]>;
}

/** Carries streams and datagrams in all four legs. */
export async function expectIntegrity(tunnel: CarriedTunnel): Promise<void> {
  const { left, right, inside, relay, faults, number, what } = tunnel;
  for (const host of [left, right]) shortenReassembly(host);
  for (let leg = 0; leg < LEG_COUNT; leg++) {
    const isThere = leg % 2 === 0;
    const family = leg < 2 ? 0 : 1;
    const index = number * LEG_COUNT + leg;
    const seed = `seed ${SEED}, leg ${index}`;
    const ends = [
      { host: left, address: inside.left[family]! },
      { host: right, address: inside.right[family]! },
    ] as const;
    const [from, to] = isThere ? ends : [ends[1], ends[0]];
    const way: Way = { from: from.host, to: to.host, source: from.address, destination: to.address };
    await relay.impair(Number(SEED) * 1000 + index, faults);
    const octets = Math.floor(STREAM_OCTETS / (TUNNEL_COUNT * LEG_COUNT));
    const { sent, arrived } = await carryStream(way, octets, { seed });
    expect(arrived, seed).toBe(sent);
    expect(JSON.parse(arrived), seed).toMatchObject({ octets });
    const datagrams = await carryDatagrams(tunnel, { way, isThere, index, seed });
    const { lost, explained } = datagrams;
    if (CAMPAIGN)
      progress(
        `${what}, IPv${family === 0 ? 4 : 6} ${isThere ? "left to right" : "right to left"}: ${octets} octets of TCP equal, ` +
          `${datagrams.sent} datagrams sent, ${lost} lost, ${sumOf(explained)} packets lost on the way`,
      );
    expect(lost, `${seed}: ${JSON.stringify(explained)}`).toBeLessThanOrEqual(sumOf(explained));
  }
}

/**
 * Datagrams of this leg's lengths, then trains of equal ones that leave as super-packets where there are offloads. Says how many were
 * lost, and how many packets of any kind the path lost meanwhile, by place: each may have cost one datagram.
 */
async function carryDatagrams(
  tunnel: CarriedTunnel,
  leg: { readonly way: Way; readonly isThere: boolean; readonly index: number; readonly seed: string },
): Promise<{ readonly sent: number; readonly lost: number; readonly explained: PathDrops }> {
  const link = new DatagramLink(leg.way, leg.seed);
  try {
    const before = await lostOnTheWay(tunnel, leg.isThere);
    for (const burst of burstsOf(lengthsOf(leg.index))) await link.carry(burst);
    for (const length of [1, 9, 200, 1000, 1300]) {
      await link.carryTrain(length, BURST_PACKETS);
      await link.carryTrain(length, 3);
    }
    let explained: PathDrops;
    const end = performance.now() + SETTLE_MS;
    // A busy machine may hold up what is still on its way.
    do {
      await link.settle();
      explained = newDrops(await lostOnTheWay(tunnel, leg.isThere), before);
    } while (link.outstanding > sumOf(explained) && performance.now() < end);
    return { sent: link.sent, lost: link.outstanding, explained };
  } finally {
    link.close();
  }
}

/** All lengths, or this leg's share of them. */
function lengthsOf(index: number): readonly number[] {
  const [first, step] = CAMPAIGN ? [0, 1] : [index, TUNNEL_COUNT * LEG_COUNT];
  return Array.from({ length: LONGEST_DATAGRAM }, (_, i) => i + 1).filter((_, i) => i % step === first);
}

function burstsOf(lengths: readonly number[]): readonly (readonly number[])[] {
  const bursts: number[][] = [];
  let packets = Number.POSITIVE_INFINITY;
  for (const length of lengths) {
    const more = Math.ceil(length / PACKET_OCTETS);
    if (packets + more > BURST_PACKETS || bursts.at(-1)!.length === BURST_COUNT) {
      bursts.push([]);
      packets = 0;
    }
    bursts.at(-1)!.push(length);
    packets += more;
  }
  return bursts;
}

async function lostOnTheWay(tunnel: CarriedTunnel, isThere: boolean): Promise<PathDrops> {
  const way = isThere ? 0 : 1;
  const { lost, overflowed } = (await tunnel.relay.counts())[way];
  const { shed = 0 } = (await tunnel.ownDrops())[way];
  const queues = readPathDrops(tunnel, [DATAGRAM_PORT, DATAGRAM_PORT])[way];
  return { ...queues, "relay: lost": lost, "relay: overflowed": overflowed, shed };
}

/** Datagrams that miss a fragment make room soon, and fragments may overtake any number of others. */
function shortenReassembly(host: TestHost): void {
  const { status, stderr } = host.run("sysctl", [
    "-qw",
    "net.ipv4.ipfrag_time=1",
    "net.ipv4.ipfrag_max_dist=0",
    "net.ipv6.ip6frag_time=1",
  ]);
  if (status !== 0) throw new Error(`sysctl: ${stderr}`);
}
