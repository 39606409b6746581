import { describe, expect, test } from "vitest";
import { runIkebana } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { withTunnel } from "./gateways.ts";
import { loadSteps } from "./scenario.ts";
import { pingBothWays } from "./sites.ts";

const WHAT = "liveness checks with strongSwan";

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))("a sign of life", () => {
  test("is given to strongSwan each time it asks, and asked of it by ikebana ping", () =>
    withTunnel(loadSteps("liveness"), async ({ sites, ikebana, strongswan }) => {
      const answers = (): number =>
        strongswan.log.split(/parsed INFORMATIONAL response \d+ \[ \]/).length - 1;
      await until("strongSwan has been answered three times", () => answers() >= 3, {
        describe: () => strongswan.log,
      });
      expect(strongswan.log).not.toContain("retransmit");

      const words = ["ping", "office", "-n", "3", "-i", "100ms", "--json", "--socket", ikebana.socket];
      const { code, out, error } = await runIkebana(sites.left, ...words);
      expect({ code, error }).toEqual({ code: 0, error: "" });
      expect(JSON.parse(out)).toMatchObject({ rttsMs: [0, 0, 0].map(() => expect.any(Number)) });
      expect(await pingBothWays(sites)).toEqual([]);
    }));
});
