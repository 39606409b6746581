import { expect, test } from "vitest";
import { pingBothWays } from "../interop/sites.ts";
import { withRelayedTwoOfUs } from "../interop/two-of-us.ts";
import { requireRoot } from "../support/namespace.ts";

test.skipIf(!requireRoot("a NAT that rebinds under a tunnel"))(
  "a NAT that gives the initiator other ports ends no tunnel: with the next IKE message the peer follows, SAs and all",
  async () => {
    await withRelayedTwoOfUs(async ({ sites, left, right, relay }) => {
      const portOf = async (): Promise<number> => (await right.connection()).ikeSa!.remote.port;
      expect(await pingBothWays(sites)).toEqual([]);
      const ports = [await portOf()];
      for (let time = 1; time <= 3; time++) {
        await relay.rebind();
        await left.client.liveness("office");
        expect(await pingBothWays(sites), `${left.log}\n${right.log}`).toEqual([]);
        ports.push(await portOf());
      }
      expect(ports[0]).toBe(4500);
      expect(new Set(ports).size).toBe(4);
      await right.client.rekey("office", "ike");
      await right.client.rekey("office", "children");
      expect(await pingBothWays(sites), `${left.log}\n${right.log}`).toEqual([]);
    });
  },
);
