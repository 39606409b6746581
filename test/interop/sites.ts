import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { PacketCapture } from "../../src/platform/packet-capture.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { runOn } from "../support/host-process.ts";
import { createJoinedHosts, type JoinedHosts, type TestHost } from "../support/namespace.ts";

// Two sites and the wire between them. Ikebana is the left gateway, strongSwan the right one. Each gateway is the only host of
// its site: the addresses inside are on its loopback link.
//
//   10.1.0.1  [ left ] 192.0.2.1 ====== wire0 ====== 192.0.2.2 [ right ]  10.2.0.1
//   fd01::1            2001:db8::1               2001:db8::2              fd02::1
//
// Each has the other as its default gateway, so that a packet which escapes from the tunnel is seen on the wire.

export const LEFT_INSIDE = ["10.1.0.1", "fd01::1"] as const;
export const RIGHT_INSIDE = ["10.2.0.1", "fd02::1"] as const;

export interface Sites {
  readonly left: TestHost;
  readonly right: TestHost;
  /** Watches the wire from now on. */
  watch(onOctets?: (frame: Uint8Array) => void): PacketCapture;
  /**
   * Lets the kernel of the left site count, from now on, the packets on the wire that are neither IKE, ESP in UDP, either in TCP, nor the link's
   * own housekeeping. It misses none, however busy the machine is; the function returned reads the count.
   */
  countStrangers(): () => number;
  /** The routes of the left site through the link, as "10.2.0.0/24". */
  leftRoutes(link: string): readonly string[];
  leftLinks(): readonly string[];
  close(): Promise<void>;
}

/** `addresses`: further ones inside each site. `join` makes the wire: a cable, or a relay. */
export async function createSites(
  addresses: { readonly left: readonly string[]; readonly right: readonly string[] } = {
    left: [],
    right: [],
  },
  join: (prefixes: Parameters<typeof createJoinedHosts>[0]) => Promise<JoinedHosts> = createJoinedHosts,
): Promise<Sites> {
  const hosts = await join({
    left: ["192.0.2.1/24", "2001:db8::1/64"],
    right: ["192.0.2.2/24", "2001:db8::2/64"],
  });
  const { left, right } = hosts;
  furnish(left, { inside: [...LEFT_INSIDE, ...addresses.left], gateways: ["192.0.2.2", "2001:db8::2"] });
  furnish(right, { inside: [...RIGHT_INSIDE, ...addresses.right], gateways: ["192.0.2.1", "2001:db8::1"] });
  const network = left.inside(() => new LinuxNetwork(createLinuxSystemCalls()));
  return {
    left,
    right,
    watch: (onOctets) =>
      left.inside(
        () =>
          new PacketCapture({
            link: network.linkIndex("wire0")!,
            snapLength: 2048,
            ...(onOctets && { onPacket: ({ octets }) => onOctets(octets) }),
          }),
      ),
    countStrangers: () => {
      nft(left, ["-f", "-"], STRANGERS);
      return () => {
        const { nftables } = JSON.parse(nft(left, ["-j", "list", "chain", "inet", "strangers", "judge"]));
        for (const { rule } of nftables) {
          for (const { counter } of rule?.expr ?? []) if (counter !== undefined) return counter.packets;
        }
        throw new Error("nft shows no counter");
      };
    },
    leftRoutes: (link) =>
      network
        .routes()
        .filter((route) => route.link === link)
        .map(({ destination }) => destination),
    leftLinks: () => network.links().map(({ name }) => name),
    close: async () => {
      network.close();
      await hosts.close();
    },
  };
}

function furnish(
  host: TestHost,
  { inside, gateways }: { readonly inside: readonly string[]; readonly gateways: readonly string[] },
): void {
  host.inside(() => {
    const network = new LinuxNetwork(createLinuxSystemCalls());
    for (const address of inside) network.addAddress("lo", `${address}/${address.includes(":") ? 128 : 32}`);
    for (const gateway of gateways) {
      network.addRoute({ destination: gateway.includes(":") ? "::/0" : "0.0.0.0/0", gateway, link: "wire0" });
    }
    network.close();
  });
}

/** Fragments behind the first have no ports, so they are strangers too: ESP must fit the link. */
const STRANGERS = `table inet strangers {
  chain leaving {
    type filter hook postrouting priority 0
    oifname "wire0" jump judge
  }
  chain arriving {
    type filter hook prerouting priority -300
    iifname "wire0" jump judge
  }
  chain judge {
    udp sport { 500, 4500 } udp dport { 500, 4500 } return
    tcp sport 4500 return
    tcp dport 4500 return
    icmpv6 type { 130-137, 143 } return
    counter
  }
}
`;

function nft(host: TestHost, words: readonly string[], input?: string): string {
  const { status, stdout, stderr } = host.run("nft", words, input === undefined ? {} : { input });
  if (status !== 0) throw new Error(`nft ${words.join(" ")}: ${stderr}`);
  return stdout;
}

/** What the pings carry, again and again: whoever finds it on the wire has seen plaintext. */
export const PING_PATTERN = Buffer.from("696b6562616e612d70696e672121", "hex");

export interface Pings {
  readonly from: string;
  readonly to: string;
  readonly count: number;
}

/**
 * Pings from one address to another, a hundred in a second, until as many are answered or five seconds more have passed. Says
 * which of them, from 1, nobody answered.
 */
export async function ping(host: TestHost, { from, to, count }: Pings): Promise<readonly number[]> {
  // With a deadline, ping waits for each answer; without one, for two round trips behind the last request.
  const deadlineS = Math.ceil(count / 100) + 5;
  const { out } = await runPing(host, { from, to, count }, ["-w", String(deadlineS)]);
  const answered = new Set(
    [...out.matchAll(/bytes from .*icmp_seq=(\d+)/g)].map(([, number]) => Number(number)),
  );
  return Array.from({ length: count }, (_, index) => index + 1).filter((number) => !answered.has(number));
}

/** Pings that nobody should answer. The last waits a moment. Says how many were answered nevertheless. */
export async function pingInVain(host: TestHost, pings: Pings): Promise<number> {
  const { received } = await runPing(host, pings, ["-W", "0.2"]);
  return received;
}

async function runPing(
  host: TestHost,
  { from, to, count }: Pings,
  words: readonly string[],
): Promise<{ readonly out: string; readonly received: number }> {
  const { out, error } = await runOn(host, [
    "ping",
    ...["-i", "0.01", "-c", String(count), "-s", "200", "-p", PING_PATTERN.toString("hex"), ...words],
    ...["-I", from, to],
  ]);
  const counts = /(\d+) packets transmitted, (\d+) received/.exec(out);
  if (counts === null || Number(counts[1]) < count) throw new Error(`ping ${from} to ${to}: ${out}${error}`);
  return { out, received: Number(counts[2]) };
}

/** Pings both ways at once, for each pair of inner addresses. Says what was lost, as sentences: none when all is well. */
export async function pingBothWays(
  { left, right }: Sites,
  pairs: readonly (readonly [string, string])[] = [
    [LEFT_INSIDE[0], RIGHT_INSIDE[0]],
    [LEFT_INSIDE[1], RIGHT_INSIDE[1]],
  ],
  count = 20,
): Promise<readonly string[]> {
  const results = await Promise.all(
    pairs.flatMap(([a, b]) =>
      [
        { host: left, from: a, to: b },
        { host: right, from: b, to: a },
      ].map(async ({ host, from, to }) => ({ from, to, lost: await ping(host, { from, to, count }) })),
    ),
  );
  return results
    .filter(({ lost }) => lost.length > 0)
    .map(({ from, to, lost }) => `${from} to ${to}: of ${count}, not answered ${lost.join(" ")}`);
}
