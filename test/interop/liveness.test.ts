import { describe, expect, test } from "vitest";
import { type IkebanaDaemon, runIkebana } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan, type Strongswan, startStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { untilUp, withGateways, withTunnel } from "./gateways.ts";
import { firstMissing, loadSteps, type Scenario } from "./scenario.ts";
import { LEFT_INSIDE, ping, pingBothWays, pingInVain, RIGHT_INSIDE, type Sites } from "./sites.ts";

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

// Side by side, since they mostly wait.
const together = { concurrent: true };

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))("a peer that is killed", together, () => {
  test("with action restart is called again until it is there, and then the tunnel carries packets", () =>
    withDeadPeer("restart", async ({ sites, ikebana, revive }) => {
      await until("we wait for the next attempt, or make one", async () =>
        ["waiting", "connecting"].includes((await ikebana.connection()).state),
      );
      expect(await pingInVain(sites.left, PINGS)).toBe(0);
      const strongswan = await revive();
      await untilUp({ sites, ikebana, strongswan });
      expect(await pingBothWays(sites)).toEqual([]);
    }));

  test("with action clear is let alone, also when it is there again; it may call", () =>
    withDeadPeer("clear", async ({ sites, ikebana, revive }) => {
      expect((await ikebana.connection()).state).toBe("down");
      const strongswan = await revive();
      expect(await pingInVain(sites.left, PINGS)).toBe(0);
      expect((await ikebana.connection()).state).toBe("down");
      expect(strongswan.log).not.toContain("IKE_SA_INIT request");
      expect((await strongswan.initiate("lan")).code).toBe(0);
      await untilUp({ sites, ikebana, strongswan });
      expect(await pingBothWays(sites)).toEqual([]);
    }));

  test("with action trap is called by the next packet, which arrives when it is there again", () =>
    withDeadPeer("trap", async ({ sites, ikebana, revive }) => {
      expect((await ikebana.connection()).state).toBe("trap");
      const strongswan = await revive();
      expect(strongswan.log).not.toContain("IKE_SA_INIT request");
      await until(
        "a ping is answered",
        async () => (await ping(sites.left, { ...PINGS, count: 1 })).length === 0,
      );
      await untilUp({ sites, ikebana, strongswan });
      expect(await pingBothWays(sites)).toEqual([]);
    }));

  test("and calls as a new one, is believed that it has no SA (INITIAL_CONTACT)", () =>
    withPeerKilled(
      loadSteps("dead-peer"),
      (text) => text.replace("interval: 1s, timeout: 3s", "interval: 1h"),
      async ({ sites, ikebana, revive }) => {
        const strongswan = await revive();
        expect((await ikebana.connection()).state).toBe("established");
        expect((await strongswan.initiate("lan")).code).toBe(0);
        await ikebana.logged("the peer has connected anew");
        await untilUp({ sites, ikebana, strongswan });
        expect((await ikebana.connection()).ikeSa?.role).toBe("responder");
        expect(await pingBothWays(sites)).toEqual([]);
      },
    ));
});

const PINGS = { from: LEFT_INSIDE[0], to: RIGHT_INSIDE[0], count: 3 };

interface Survivor {
  readonly sites: Sites;
  readonly ikebana: IkebanaDaemon;
  /** Starts strongSwan again, with nothing of before. */
  revive(): Promise<Strongswan>;
}

/** The peer is dead, and we know. */
function withDeadPeer(
  action: "restart" | "clear" | "trap",
  then: (survivor: Survivor) => Promise<void>,
): Promise<void> {
  const scenario = loadSteps("dead-peer");
  const configure = (text: string): string => text.replace("action: restart", `action: ${action}`);
  return withPeerKilled(scenario, configure, async (survivor) => {
    const { ikebana } = survivor;
    const said = (): boolean => firstMissing(ikebana.log, scenario.expected.ikebana) === undefined;
    await until("we know that it is dead", said, { timeoutMs: 30_000, describe: () => ikebana.log });
    await then(survivor);
  });
}

/** The tunnel was up, and the peer has been killed. */
async function withPeerKilled(
  scenario: Scenario,
  configure: (text: string) => string,
  then: (survivor: Survivor) => Promise<void>,
): Promise<void> {
  let revived: Strongswan | undefined;
  const changed = { ...scenario, ikebana: configure(scenario.ikebana) };
  await withGateways(changed, async (gateways) => {
    const { sites, ikebana, strongswan } = gateways;
    await untilUp(gateways);
    expect(await pingBothWays(sites)).toEqual([]);
    await strongswan.stop("SIGKILL");
    const { swanctl, settings } = scenario;
    try {
      await then({
        sites,
        ikebana,
        revive: async () => {
          revived = await startStrongswan(sites.right, { configuration: swanctl, settings });
          return revived;
        },
      });
    } finally {
      await revived?.stop();
    }
  });
}
