import { describe, expect, test } from "vitest";
import { requireRoot, type TestHost } from "../support/namespace.ts";
import { command } from "../support/routed-tunnel.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { type Gateways, withTunnel } from "./gateways.ts";
import { loadSteps } from "./scenario.ts";
import { LEFT_INSIDE, pingBothWays, RIGHT_INSIDE } from "./sites.ts";

const WHAT = "path MTU probing with strongSwan";
const PATH_MTU = 1400;

/** What is longer is lost before strongSwan sees it, and nobody is told. */
const HOLE = `table inet hole {
  chain arriving {
    type filter hook prerouting priority -300
    iifname "wire0" meta length > ${PATH_MTU} drop
  }
}
`;

/** No answer to an INFORMATIONAL request comes in: they are as long as nothing else. */
const DEAFNESS = `table inet deafness {
  chain arriving {
    type filter hook prerouting priority -300
    iifname "wire0" udp sport 4500 udp length 69 drop
  }
}
`;
const AGAIN = "received retransmit of request with ID 0";

async function pathOf({ ikebana }: Gateways) {
  const { ikeSa } = await ikebana.connection();
  return { pathMtu: ikeSa!.pathMtu, spi: ikeSa!.initiatorSpi };
}

/**
 * Answered ones of three of 1400 octets, which is all that the TUN device takes; they may be fragmented. `patience`: "-W" and how long to wait
 * for the first, or "-w" and for how long to go on until there are three.
 */
function largePings(host: TestHost, patience = ["-W", "1"]): number {
  const words = ["-M", "dont", "-c", "3", "-i", "0.1", ...patience, "-s", String(1400 - 28)];
  const { stdout } = host.run("ping", [...words, "-I", LEFT_INSIDE[0], RIGHT_INSIDE[0]]);
  return Number(/(\d+) received/.exec(stdout)?.[1]);
}

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))("probes of the path to strongSwan", () => {
  test("find how short it is, the SA stays, and large packets come through", () =>
    withTunnel(
      loadSteps("path-mtu-initiator"),
      async (gateways) => {
        const { sites, strongswan } = gateways;
        const { spi } = await pathOf(gateways);
        expect(largePings(sites.left)).toBe(0);
        await until("the path is known", async () => (await pathOf(gateways)).pathMtu !== undefined, {
          describe: () => strongswan.log,
        });
        expect(await pathOf(gateways)).toEqual({ pathMtu: PATH_MTU, spi });
        expect(largePings(sites.left, ["-w", "10"])).toBe(3);
        expect(await pingBothWays(sites)).toEqual([]);
      },
      ({ right }) => command(right, "nft", ["-f", "-"], HOLE),
    ));

  test("whose answers are lost are repeated as they were, beside what has no filler, so that strongSwan answers again", () =>
    withTunnel(loadSteps("path-mtu-responder"), async (gateways) => {
      const { sites, strongswan } = gateways;
      const { spi } = await pathOf(gateways);
      command(sites.left, "nft", ["-f", "-"], DEAFNESS);
      // From the third time on it is not alone; strongSwan looks at the octets, and knows one of the two.
      await until("strongSwan has been asked three times", () => strongswan.log.split(AGAIN).length > 2, {
        describe: () => strongswan.log,
      });
      command(sites.left, "nft", ["delete", "table", "inet", "deafness"]);
      await until("the path is known", async () => (await pathOf(gateways)).pathMtu !== undefined, {
        describe: () => strongswan.log,
      });
      expect(await pathOf(gateways)).toEqual({ pathMtu: 1500, spi });
      expect(await pingBothWays(sites)).toEqual([]);
    }));

  test("are one where it is as long as the link", () =>
    withTunnel(loadSteps("path-mtu-responder"), async (gateways) => {
      const { sites, strongswan } = gateways;
      await until("the path is known", async () => (await pathOf(gateways)).pathMtu !== undefined, {
        describe: () => strongswan.log,
      });
      expect((await pathOf(gateways)).pathMtu).toBe(1500);
      expect(await pingBothWays(sites)).toEqual([]);
    }));
});
