import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeFrame } from "../../src/platform/packet-kind.ts";
import { type Gateways, untilDown, untilUp, withGateways } from "../interop/gateways.ts";
import { loadSteps, type Scenario } from "../interop/scenario.ts";
import {
  createSites,
  LEFT_INSIDE,
  PING_PATTERN,
  ping,
  pingBothWays,
  pingInVain,
  RIGHT_INSIDE,
  type Sites,
} from "../interop/sites.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { requireRoot, type TestHost } from "../support/namespace.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";

const WHAT = "what is left behind, and what leaks";
const mayRun = requireRoot(WHAT);
const hasPeer = mayRun && requireStrongswan(WHAT);

describe.skipIf(!hasPeer)("with a tunnel to strongSwan", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`${signal} ends us in order: no device, route, socket, process or SA is left on either side`, () =>
      withTunnel(async ({ sites, ikebana, strongswan }) => {
        const { directory, socket } = ikebana;
        expect(sites.leftRoutes("ikebana0")).toEqual(["10.2.0.0/24", "fd02::/64"]);
        ikebana.signal(signal);
        expect(await ikebana.waitForEnd()).toEqual({ code: 0, signal: null });
        expectNothingLeft(sites);
        expect({ directory: existsSync(directory), socket: existsSync(socket) }).toEqual({
          directory: true,
          socket: false,
        });
        await until("strongSwan has no SA", async () => (await strongswan.listSas()) === "");
      }));
  }

  test("SIGKILL leaves no device, route or process, and the next start takes over what else there is", () =>
    withTunnel(async (gateways) => {
      const { sites, ikebana, strongswan } = gateways;
      const { directory, socket } = ikebana;
      ikebana.signal("SIGKILL");
      expect(await ikebana.waitForEnd()).toEqual({ code: null, signal: "SIGKILL" });
      expectNothingLeft(sites);
      expect(existsSync(socket)).toBe(true);

      const again = await startIkebana(sites.left, SCENARIO.ikebana, { directory });
      try {
        await untilUp({ ...gateways, ikebana: again });
        expect(await pingBothWays(sites)).toEqual([]);
        // INITIAL_CONTACT: the SAs of our former life are gone there too.
        await until("strongSwan has one of each", async () => {
          const list = await strongswan.listSas();
          return list.split("ESTABLISHED").length === 2 && list.split("INSTALLED").length === 2;
        });
        again.signal("SIGTERM");
        expect(await again.waitForEnd()).toEqual({ code: 0, signal: null });
        expect(readdirSync(directory).filter((name) => name.startsWith("ikebana.sock"))).toEqual([]);
        expectNothingLeft(sites);
      } finally {
        await again.stop("SIGKILL");
      }
    }));

  test("two SIGTERMs end us at once, while strongSwan is dead and cannot answer", () =>
    withTunnel(async ({ sites, ikebana, strongswan }) => {
      await strongswan.stop("SIGKILL");
      ikebana.signal("SIGTERM");
      await ikebana.logged("stopping: ");
      ikebana.signal("SIGTERM");
      await ikebana.waitForEnd();
      expectNothingLeft(sites);
    }));

  test("SIGKILL of strongSwan lets nothing out in clear, and we end in order without it", () =>
    withTunnel(async ({ sites, ikebana, strongswan }) => {
      const protectedPackets = async (): Promise<number> =>
        (await ikebana.connection()).ikeSa!.children[0]!.outbound.packets;
      const before = await protectedPackets();
      const leaks = new Leaks(sites);
      await strongswan.stop("SIGKILL");
      await expectSilence(sites);
      // The SA stands until the peer has been given up, so what we send is ESP.
      await until("twenty pings have left as ESP", async () => (await protectedPackets()) === before + 20);
      // Several may share a frame: the wire is virtual, and nothing cuts up what the kernel has not yet cut up.
      const { leaked, esp } = leaks.close();
      expect(leaked).toBe(0);
      expect(esp).toBeGreaterThan(0);
      ikebana.signal("SIGTERM");
      expect(await ikebana.waitForEnd()).toEqual({ code: 0, signal: null });
      expectNothingLeft(sites);
    }));

  test("after a delete from either side nothing leaves in clear", () =>
    withGateways(loadSteps("delete-ike-sa-by-strongswan"), async (gateways) => {
      const { sites, ikebana, strongswan } = gateways;
      for (const takeDown of [
        () => strongswan.terminate({ ike: "ikebana" }),
        () => ikebana.client.down("office"), // the last: nobody may call afterwards
      ]) {
        expect((await strongswan.initiate("lan")).code, strongswan.log).toBe(0);
        await untilUp(gateways);
        expect(await pingBothWays(sites)).toEqual([]);
        await takeDown();
        await untilDown(gateways);
        const leaks = new Leaks(sites);
        await expectSilence(sites);
        expect(leaks.close()).toEqual({ leaked: 0, esp: 0 });
      }
    }));
});

describe.skipIf(!mayRun)("without an SA", () => {
  test("nothing leaves in clear before the first SA; without us, it would", async () => {
    const sites = await createSites();
    let ikebana: IkebanaDaemon | undefined;
    try {
      const before = new Leaks(sites);
      const strangers = hasPeer ? sites.countStrangers() : undefined;
      for (const family of [0, 1] as const) {
        const once = { from: LEFT_INSIDE[family], to: RIGHT_INSIDE[family], count: 1 };
        await until("the other site answers", async () => (await ping(sites.left, once)).length === 0);
      }
      expect(before.close().leaked).toBeGreaterThanOrEqual(4); // one there and one back, of each family
      if (strangers !== undefined) expect(strangers()).toBeGreaterThanOrEqual(4); // nft came with the peer

      const during = new Leaks(sites);
      ikebana = await startIkebana(sites.left, SCENARIO.ikebana);
      await expectSilence(sites);
      expect((await ikebana.connection()).state).toBe("connecting"); // nobody is there to answer
      expect(during.close()).toEqual({ leaked: 0, esp: 0 });
      expect((await ikebana.status()).dataPlane.drops.noSa).toBeGreaterThanOrEqual(6);
    } finally {
      await ikebana?.stop("SIGKILL");
      await sites.close();
    }
  });

  test("a second daemon on the same socket is refused and takes nothing from the first", async () => {
    const sites = await createSites();
    let ikebana: IkebanaDaemon | undefined;
    try {
      ikebana = await startIkebana(sites.left, SCENARIO.ikebana);
      const { directory } = ikebana;
      const second = startIkebana(sites.left, SCENARIO.ikebana, { directory, keepDirectory: true });
      await expect(second).rejects.toThrow(/another ikebana is running: its socket .* answers/);
      expect(sites.leftRoutes("ikebana0")).toEqual(["10.2.0.0/24", "fd02::/64"]);
      expect((await ikebana.connection()).state).toBe("connecting");
    } finally {
      await ikebana?.stop("SIGKILL");
      await sites.close();
    }
  });

  test("a second daemon on the same state is refused while the first lives, whatever their sockets", async () => {
    const sites = await createSites();
    const folder = mkdtempSync(join(tmpdir(), "ikebana-state-"));
    const start = () =>
      startIkebana(sites.left, SCENARIO.ikebana.replace(/^state: .*$/m, `state: ${folder}`));
    let ikebana: IkebanaDaemon | undefined;
    try {
      ikebana = await start();
      await expect(start()).rejects.toThrow(`another ikebana keeps its state in ${folder}`);
      expect(sites.leftRoutes("ikebana0")).toEqual(["10.2.0.0/24", "fd02::/64"]);
      await ikebana.stop("SIGKILL");
      ikebana = await start();
    } finally {
      await ikebana?.stop("SIGKILL");
      await sites.close();
      rmSync(folder, { recursive: true });
    }
  });

  test("a selector that covers the peer's own address does not stand in the tunnel's way, and leaves nothing behind", async () => {
    const sites = await createSites();
    try {
      const configuration = SCENARIO.ikebana.replace("[10.2.0.0/24,", "[10.2.0.0/24, 192.0.2.0/28,");
      const wire = sites.watch();
      const ikebana = await startIkebana(sites.left, configuration);
      await until("the first request is on its way to the peer", () => wire.counts.ike > 0);
      wire.close();
      expect(sites.leftRoutes("ikebana0")).toContain("192.0.2.0/28");
      await ikebana.stop();
      expectNothingLeft(sites);
    } finally {
      await sites.close();
    }
  });
});

describe.skipIf(!hasPeer)("with a wrong key", () => {
  test("nothing leaves in clear while strongSwan refuses us again and again", () =>
    withGateways(loadSteps("wrong-key-retried"), async ({ sites, ikebana }) => {
      const leaks = new Leaks(sites);
      const refusals = (): number => ikebana.log.split("the peer answered AUTHENTICATION_FAILED").length - 1;
      await until("strongSwan has refused us once", () => refusals() >= 1);
      await expectSilence(sites);
      await until("strongSwan has refused us twice", () => refusals() >= 2);
      await expectSilence(sites);
      expect(leaks.close()).toEqual({ leaked: 0, esp: 0 });
    }));
});

const SCENARIO: Scenario = loadSteps("leftovers");

async function withTunnel(action: (gateways: Gateways) => Promise<void>): Promise<void> {
  await withGateways(SCENARIO, async (gateways) => {
    await untilUp(gateways);
    expect(await pingBothWays(gateways.sites)).toEqual([]);
    await action(gateways);
  });
}

function expectNothingLeft(sites: Sites): void {
  expect(sites.leftLinks()).toEqual(["lo", "wire0"]);
  expect(sites.leftRoutes("ikebana0")).toEqual([]);
  expect(processesOf(sites.left)).toEqual([sites.left.pid]);
}

/** Processes in the host's network namespace. */
function processesOf(host: TestHost): readonly number[] {
  const place = readlinkSync(`/proc/${host.pid}/ns/net`);
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((id) => {
      try {
        return readlinkSync(`/proc/${id}/ns/net`) === place;
      } catch {
        return false; // it has ended
      }
    });
}

/** Pings of both families go out from the left site and nobody answers. */
async function expectSilence(sites: Sites): Promise<void> {
  const answered = await Promise.all(
    ([0, 1] as const).map((family) =>
      pingInVain(sites.left, { from: LEFT_INSIDE[family], to: RIGHT_INSIDE[family], count: 10 }),
    ),
  );
  expect(answered).toEqual([0, 0]);
}

/** Counts what passes the wire in clear, known by its addresses and by what the pings carry. */
class Leaks {
  readonly #capture: ReturnType<Sites["watch"]>;
  #leaked = 0;

  constructor(sites: Sites) {
    this.#capture = sites.watch((frame) => {
      const { source, destination } = describeFrame(frame);
      const isInner = [source, destination].some((address) => /^(10\.|fd0)/.test(address ?? ""));
      const holdsPing = Buffer.from(frame.buffer, frame.byteOffset, frame.length).includes(PING_PATTERN);
      if (isInner || holdsPing) this.#leaked++;
    });
  }

  close(): { readonly leaked: number; readonly esp: number } {
    this.#capture.close();
    expect(this.#capture.missed).toBe(0);
    return { leaked: this.#leaked, esp: this.#capture.counts["esp-in-udp"] };
  }
}
