import { describe, expect, test } from "vitest";
import type { ConnectionStatus, EngineStatus } from "../../src/engine/status.ts";
import { carryStream, type Way } from "../support/carried.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { DatagramLink } from "../support/integrity/datagram-link.ts";
import { createJoinedHosts, requireRoot, type TestHost } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";

// What goes into a tunnel between two machines comes out of it, to the octet, whatever the offloads of either side:
//
//   10.1.0.1  [ left ] 192.0.2.1 ====== 192.0.2.2 [ right ]  10.2.0.1
//   fd01::1                                                  fd02::1

const INSIDE = { 4: ["10.1.0.1", "10.2.0.1"], 6: ["fd01::1", "fd02::1"] } as const;
const OUTSIDE = ["192.0.2.1", "192.0.2.2"] as const;
const TCP_OCTETS = 16_000_000;
const LONGEST = 9000;

const mayRun = requireRoot("transfers with and without offloads");

interface Site {
  readonly host: TestHost;
  readonly ikebana: IkebanaDaemon;
}

describe.skipIf(!mayRun)("a tunnel between two machines", () => {
  if (!mayRun) return;
  // With an MTU of 9000 and df: clear every large datagram passes the wire in fragments, which the kernel does not segment.
  test.each([
    ["auto", "auto", 1400],
    ["auto", "off", 1400],
    ["off", "off", 1400],
    ["auto", "auto", 9000],
  ] as const)(
    "carries TCP in random pieces and UDP of all sizes intact, offloads %s and %s, MTU %i",
    async (left, right, mtu) => {
      await withTunnel({ offloads: [left, right], mtu }, async (sites) => {
        for (const [from, to] of [sites, [...sites].reverse()] as (readonly [Site, Site])[]) {
          for (const family of [4, 6] as const) {
            const way = wayBetween(from, to, inside(family, from === sites[0]));
            await expectEqualStream(way, 1_000_000);
            await expectEqualDatagrams(way, 29);
          }
        }
        for (const { ikebana } of sites) expectNoDrops(await ikebana.status());
        expect(sites[0].ikebana.log).not.toContain("not used: ");
      });
    },
    300_000,
  );

  test("moves super-packets of TCP, tens of packets in a system call", async () => {
    await withTunnel({ offloads: ["auto", "auto"], mtu: 1400 }, async ([left, right]) => {
      await expectEqualStream(wayBetween(left, right, inside(4, true)), TCP_OCTETS);
      const { tunRead, udpTransmit } = (await left.ikebana.status()).dataPlane.systemCalls;
      const { tunWrite, udpReceive } = (await right.ikebana.status()).dataPlane.systemCalls;
      for (const { calls, packets } of [tunRead, udpTransmit, udpReceive]) {
        expect(packets / calls).toBeGreaterThan(3);
      }
      expect(tunWrite.packets / tunWrite.calls).toBeGreaterThan(2);
    });
  });

  test("moves every packet alone when its offloads are off", async () => {
    await withTunnel({ offloads: ["off", "off"], mtu: 1400 }, async ([left, right]) => {
      await expectEqualStream(wayBetween(left, right, inside(6, true)), TCP_OCTETS);
      const { tunRead } = (await left.ikebana.status()).dataPlane.systemCalls;
      const { tunWrite } = (await right.ikebana.status()).dataPlane.systemCalls;
      for (const { calls, packets } of [tunRead, tunWrite]) expect(packets).toBe(calls);
    });
  });
});

function inside(family: 4 | 6, isForward: boolean): readonly [string, string] {
  const [left, right] = INSIDE[family];
  return isForward ? [left, right] : [right, left];
}

function wayBetween(from: Site, to: Site, [source, destination]: readonly [string, string]): Way {
  return { from: from.host, to: to.host, source, destination };
}

async function expectEqualStream(way: Way, octets: number): Promise<void> {
  const { sent, arrived } = await carryStream(way, octets);
  expect(arrived).toBe(sent);
  expect(JSON.parse(arrived)).toMatchObject({ octets });
}

/**
 * One datagram of every length, then trains of equal ones that leave as super-packets where there are offloads. UDP may lose one, but
 * here nothing gives it a reason.
 */
async function expectEqualDatagrams(way: Way, step: number): Promise<void> {
  const link = new DatagramLink(way, "offloads");
  try {
    const lengths = Array.from({ length: Math.ceil(LONGEST / step) }, (_, i) => 1 + i * step);
    for (let i = 0; i < lengths.length; i += 32) await link.carry(lengths.slice(i, i + 32));
    for (const length of [1, 9, 200, 1000, 1300]) {
      await link.carryTrain(length, 40);
      await link.carryTrain(length, 3);
    }
    await link.settle();
    // A busy machine may hold up the last ones.
    for (let i = 0; i < 50 && link.outstanding > 2; i++) await link.settle();
    expect(link.outstanding).toBeLessThanOrEqual(2);
  } finally {
    link.close();
  }
}

async function withTunnel(
  { offloads, mtu }: { readonly offloads: readonly ["auto" | "off", "auto" | "off"]; readonly mtu: number },
  action: (sites: readonly [Site, Site]) => Promise<void>,
): Promise<void> {
  const hosts = await createJoinedHosts({ left: ["192.0.2.1/24"], right: ["192.0.2.2/24"] });
  const daemons: IkebanaDaemon[] = [];
  try {
    for (const [i, host] of [hosts.left, hosts.right].entries()) {
      for (const family of [4, 6] as const) {
        host.run("ip", ["addr", "add", `${INSIDE[family][i]}/${family === 4 ? 24 : 64}`, "dev", "lo"]);
      }
    }
    // The responder first.
    for (const i of [1, 0] as const) {
      const host = i === 0 ? hosts.left : hosts.right;
      daemons.unshift(await startIkebana(host, configuration(i, { offloads: offloads[i], mtu })));
    }
    const [left, right] = daemons as [IkebanaDaemon, IkebanaDaemon];
    const isUp = (connection: ConnectionStatus): boolean => connection.ikeSa?.children[0] !== undefined;
    await until(
      "the tunnel is up",
      async () => isUp(await left.connection()) && isUp(await right.connection()),
    );
    await action([
      { host: hosts.left, ikebana: left },
      { host: hosts.right, ikebana: right },
    ]);
  } finally {
    for (const daemon of daemons) await daemon.stop("SIGKILL");
    await hosts.close();
  }
}

function configuration(
  place: 0 | 1,
  { offloads, mtu }: { readonly offloads: "auto" | "off"; readonly mtu: number },
): string {
  const other = 1 - place;
  const networks = (at: number): string => `[10.${at + 1}.0.0/24, "fd0${at + 1}::/64"]`;
  return `
socket: ikebana.sock
state: state
mtu: ${mtu}
offloads: ${offloads}
connections:
  site:
    local: { address: ${OUTSIDE[place]}, id: "host${place}.example.org", psk: "a secret of the test" }
    remote: { address: ${OUTSIDE[other]}, id: "host${other}.example.org" }
    start: ${place === 0 ? "start" : "respond"}
    children:
      lan: { local: ${networks(place)}, remote: ${networks(other)}, esp: [chacha20poly1305], df: clear }
`;
}

/** Everything that was sealed was opened. What the stack sends by itself, as multicast, has no policy. */
function expectNoDrops({ connections, dataPlane }: EngineStatus): void {
  const { noPolicy: _, ...drops } = dataPlane.drops;
  const [child] = connections[0]!.ikeSa!.children;
  expect([drops, child!.inbound.drops, child!.outbound.drops]).toEqual([{}, {}, {}]);
}
