import { describe, expect, test } from "vitest";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { PacketCapture } from "../../src/platform/packet-capture.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { DatagramEnd } from "../support/datagram-end.ts";
import { requireRoot, type TestHost } from "../support/namespace.ts";
import { command, INSIDE, withRoutedTunnel } from "../support/routed-tunnel.ts";
import { until } from "../support/waiting.ts";

// DSCP and ECN on their way through a tunnel, with a router between that marks congestion.

const mayRun = requireRoot("traffic classes through a tunnel");

const MARK_ALL = `
table inet marks {
  chain forward {
    type filter hook forward priority 0;
    meta l4proto udp ip ecn set ce
    meta l4proto udp ip6 ecn set ce
  }
}`;
const CHANGE_DSCP = `
table ip marks {
  chain forward {
    type filter hook forward priority 0;
    ip dscp set cs1
  }
}`;
const [ECT_0, CE] = [2, 3];
const DSCP = 0xb8;

describe.skipIf(!mayRun)("through a tunnel between two machines", () => {
  if (!mayRun) return;
  const cases = ([4, 6] as const).flatMap((outside) =>
    ([4, 6] as const).map((inside) => ({ outside, inside })),
  );

  test.each(cases)(
    "the outer header shows the traffic class, and a mark of the router arrives inside: IPv$outside outside, IPv$inside inside",
    async ({ outside, inside }) => {
      await withRoutedTunnel({ family: outside }, async ({ left, router, right }) => {
        const [source, destination] = INSIDE[inside];
        const wire = new OuterClasses(left.host);
        const from = new DatagramEnd(left.host, source);
        const to = new DatagramEnd(right.host, destination);
        try {
          const payload = new Uint8Array(300).fill(1);
          for (const trafficClass of [0, ECT_0, DSCP | ECT_0, DSCP]) {
            wire.clear();
            from.send(destination, payload, trafficClass);
            expect(await to.next()).toEqual({ payload, trafficClass });
            await until("it was seen outside", () => wire.seen.length > 0);
            expect(wire.seen).toEqual([trafficClass]);
          }

          command(router, "nft", ["-f", "-"], MARK_ALL);
          from.send(destination, payload, DSCP | ECT_0);
          expect(await to.next()).toEqual({ payload, trafficClass: DSCP | CE });
          // Its sender knows no ECN: dropped and counted. What comes behind it shows that it is not late.
          from.send(destination, payload, DSCP);
          from.send(destination, payload, ECT_0);
          expect(await to.next()).toEqual({ payload, trafficClass: CE });
          const [child] = (await right.ikebana.connection()).ikeSa!.children;
          expect(child!.inbound.drops).toEqual({ ceOnNotEct: 1 });
        } finally {
          wire.close();
          from.close();
          to.close();
        }
      });
    },
  );

  test("copyDscp: in takes DSCP from the path and shows it none", async () => {
    await withRoutedTunnel({ child: "copyDscp: in" }, async ({ left, router, right }) => {
      const [source, destination] = INSIDE[4];
      const wire = new OuterClasses(left.host);
      const from = new DatagramEnd(left.host, source);
      const to = new DatagramEnd(right.host, destination);
      try {
        const payload = new Uint8Array(300).fill(1);
        command(router, "nft", ["-f", "-"], CHANGE_DSCP);
        from.send(destination, payload, DSCP | ECT_0);
        expect(await to.next()).toEqual({ payload, trafficClass: 0x20 | ECT_0 });
        await until("it was seen outside", () => wire.seen.length > 0);
        expect(wire.seen).toEqual([ECT_0]);
      } finally {
        wire.close();
        from.close();
        to.close();
      }
    });
  });
});

/** Traffic classes of the ESP packets on a host's wire. */
class OuterClasses {
  readonly seen: number[] = [];
  readonly #capture: PacketCapture;

  constructor(host: TestHost) {
    this.#capture = host.inside(() => {
      const network = new LinuxNetwork(createLinuxSystemCalls());
      const { index } = network.links().find(({ name }) => name === "wire0")!;
      network.close();
      return new PacketCapture({
        link: index,
        onPacket: ({ kind, octets }) => {
          const view = new DataView(octets.buffer, octets.byteOffset);
          const isIpv4 = view.getUint8(14) >> 4 === 4;
          if (kind === "esp-in-udp")
            this.seen.push(isIpv4 ? view.getUint8(15) : (view.getUint16(14) >> 4) & 0xff);
        },
      });
    });
  }

  clear(): void {
    this.#capture.poll();
    this.seen.length = 0;
  }

  close(): void {
    this.#capture.close();
  }
}
