import { describe, expect, test } from "vitest";
import { carryStream, type Way } from "../support/carried.ts";
import { requireRoot, type TestHost } from "../support/namespace.ts";
import { command, INSIDE, type RoutedTunnel, withRoutedTunnel } from "../support/routed-tunnel.ts";
import { until } from "../support/waiting.ts";

// A link behind the router is shorter than those of the two gateways: nobody knows before a packet has been too long for it.

const mayRun = requireRoot("path MTU through a tunnel");
const FAR_MTU = 1300;
const TCP_OCTETS = 4_000_000;

/** The router does as many firewalls do: what is too long goes without a word. */
const SILENCE = `table inet silence {
  chain output {
    type filter hook output priority 0
    icmp type destination-unreachable drop
    icmpv6 type packet-too-big drop
  }
}
`;
/** Of ping: it goes on until all are answered. */
const PATIENT = ["-w", "10"];
/** Short enough to swallow what comes through the TUN device, and close enough to what the link takes to be found soon. */
const SILENT_MTU = 1440;

async function expectEqualStreams(way: Way, octets: number): Promise<void> {
  const { sent, arrived } = await carryStream(way, octets);
  expect(JSON.parse(arrived)).toMatchObject({ octets });
  expect(arrived).toBe(sent);
}

/** Both ends of the cable between router and right host. */
function shorten(router: TestHost, right: TestHost, mtu: number): void {
  command(router, "ip", ["link", "set", "far", "mtu", String(mtu)]);
  command(right, "ip", ["link", "set", "wire0", "mtu", String(mtu)]);
}

/** What a gateway thinks of the child SA. */
async function childOf({ ikebana }: RoutedTunnel["left"]) {
  return (await ikebana.connection()).ikeSa!.children[0]!;
}

describe.skipIf(!mayRun)("through a tunnel over a router", () => {
  if (!mayRun) return;
  const cases = ([4, 6] as const).flatMap((outside) =>
    ([4, 6] as const).map((inside) => ({ outside, inside })),
  );
  /** Outer IP and UDP header, SPI and number, IV, ICV; the text is whole words of 4, and 2 of them are its trailer. */
  const innerMtu = (outside: 4 | 6, mtu: number): number => {
    const room = mtu - (outside === 4 ? 28 : 48) - 32;
    return room - (room % 4) - 2;
  };

  test.each(cases)(
    "a ping with DF finds the path MTU, and its sender is told: IPv$outside outside, IPv$inside inside",
    async ({ outside, inside }) => {
      await withRoutedTunnel({ family: outside }, async ({ left, router, right }) => {
        shorten(router, right.host, FAR_MTU);
        const [source, destination] = INSIDE[inside];
        const fitting = innerMtu(outside, FAR_MTU);
        const headers = inside === 4 ? 28 : 48;
        const ping = (size: number, patience = ["-W", "1"]) =>
          left.host.run("ping", [
            `-${inside}`,
            ...["-M", "do", "-c", "1", ...patience, "-I", source],
            ...["-s", String(size - headers), destination],
          ]);
        expect(ping(100, PATIENT).status).toBe(0);
        // The first is lost on the way and the router says why; the second is refused by our own socket, and the third by the SA.
        await until("the path MTU is known", async () => {
          ping(1400);
          return (await childOf(left)).innerMtu === fitting;
        });
        const told = inside === 4 ? fitting : Math.max(fitting, 1280);
        await until(
          "the sender is told",
          () =>
            ping(1400).stdout.includes(`mtu${inside === 4 ? " = " : "="}${told}`) ||
            ping(1400).stderr.includes(`mtu=${told}`) ||
            ping(1400).stderr.includes(`mtu: ${told}`),
        );
        expect(ping(fitting, PATIENT).status).toBe(0);
        expect((await childOf(left)).outbound.drops.tooBig).toBeGreaterThan(0);
      });
    },
  );

  test("a path of 552 octets, which is as little as the kernel believes, is believed here as well: TCP flows on", async () => {
    await withRoutedTunnel({ family: 4 }, async ({ left, router, right }) => {
      shorten(router, right.host, 552);
      const [source, destination] = INSIDE[4];
      const [from, to] = [left.host, right.host];
      await expectEqualStreams({ from, to, source, destination }, TCP_OCTETS / 10);
      expect((await childOf(left)).innerMtu).toBe(innerMtu(4, 552));
    });
  });

  test.each(cases)(
    "TCP over a path of 1300 octets flows in both directions: IPv$outside outside, IPv$inside inside",
    async ({ outside, inside }) => {
      await withRoutedTunnel({ family: outside }, async ({ left, router, right }) => {
        shorten(router, right.host, FAR_MTU);
        const [source, destination] = INSIDE[inside];
        const [from, to] = [left.host, right.host];
        await expectEqualStreams({ from, to, source, destination }, TCP_OCTETS);
        const back = { from: to, to: from, source: destination, destination: source };
        await expectEqualStreams(back, TCP_OCTETS);
      });
    },
  );

  describe("whose router says nothing", () => {
    /** Its cable is short at its own end only: what is too long from there is lost in the router, from the other end on the cable. */
    const prepare = ({ router }: { readonly router: TestHost }): void => {
      command(router, "ip", ["link", "set", "far", "mtu", String(SILENT_MTU)]);
      command(router, "nft", ["-f", "-"], SILENCE);
    };
    /** Answered ones of three, each as long as the TUN device takes, which may be fragmented. */
    const largePings = ({ from, source, destination }: Way, patience = ["-W", "1"]): number => {
      const words = ["-M", "dont", "-c", "3", "-i", "0.1", ...patience, "-s", String(1400 - 28)];
      const { stdout } = from.run("ping", [...words, "-I", source, destination]);
      return Number(/(\d+) received/.exec(stdout)?.[1]);
    };
    const ways = ({ left, right }: RoutedTunnel, family: 4 | 6): readonly [there: Way, back: Way] => {
      const [source, destination] = INSIDE[family];
      const [from, to] = [left.host, right.host];
      return [
        { from, to, source, destination },
        { from: to, to: from, source: destination, destination: source },
      ];
    };

    test.each([4, 6] as const)(
      "probing finds what passes, from both sides, and TCP and large pings do: IPv%s outside",
      async (family) => {
        await withRoutedTunnel({ family, prepare }, async (tunnel) => {
          const { left, right } = tunnel;
          // A cable lets the four octets of a VLAN tag through beyond its MTU.
          const fitting = [innerMtu(family, SILENT_MTU), innerMtu(family, SILENT_MTU + 4)] as const;
          const found = async () =>
            [(await childOf(left)).innerMtu, (await childOf(right)).innerMtu] as const;
          await until("both sides know that the path is short", async () =>
            (await found()).every((mtu, i) => mtu <= fitting[i]!),
          );
          const [there] = ways(tunnel, 4);
          expect(largePings(there, PATIENT)).toBe(3);
          await expectEqualStreams(there, TCP_OCTETS);
          await expectEqualStreams(ways(tunnel, 6)[1], TCP_OCTETS);
          if (family === 6) return;
          await until("both sides know how short the path is", async () => {
            const paths = [await left.ikebana.connection(), await right.ikebana.connection()];
            return paths.every(({ ikeSa }) => ikeSa?.pathMtu !== undefined);
          });
          expect(await found()).toEqual(fitting);
        });
      },
    );

    test("where only the kernel is asked, what is large is lost", async () => {
      const kernel = "pathMtu: kernel";
      await withRoutedTunnel({ connection: [kernel, kernel], prepare }, async (tunnel) => {
        const [there] = ways(tunnel, 4);
        expect(largePings(there)).toBe(0);
        const { sent, arrived } = await carryStream(there, TCP_OCTETS, { timeoutMs: 3_000 });
        expect([sent, arrived]).toEqual(["", ""]);
        expect((await childOf(tunnel.right)).inbound.packets).toBeGreaterThan(0);
      });
    });
  });
});
