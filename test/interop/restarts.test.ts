import { createHash } from "node:crypto";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { describeFrame } from "../../src/platform/packet-kind.ts";
import { CAMPAIGN, progress } from "../support/campaign.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan, type Strongswan, startStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { loadSteps } from "./scenario.ts";
import { createSites, pingBothWays, type Sites } from "./sites.ts";

const WHAT = "keys over restarts";
const LIVES = CAMPAIGN ? 200 : 10;
const TIMEOUT_MS = CAMPAIGN ? 3_600_000 : 180_000;
const SCENARIO = loadSteps("restarts");

describe.skipIf(!requireRoot(WHAT))("killed and started again and again", () => {
  test.skipIf(!requireStrongswan(WHAT))(
    "we never have a traffic key or a sequence number twice with strongSwan, and nothing is left behind",
    { timeout: TIMEOUT_MS },
    async () => {
      const sites = await createSites();
      let strongswan: Strongswan | undefined;
      try {
        strongswan = await startStrongswan(sites.right, {
          configuration: SCENARIO.swanctl,
          settings: SCENARIO.settings,
        });
        const { lives, packets } = await liveAndDie(sites);
        const keys = trafficKeys(strongswan.log);
        progress(
          `${lives} lives with strongSwan: ${keys.length} keys, ${packets.count} packets, ${packets.spis} SPIs`,
        );
        // Two keys for each child SA, and each life has had one and rekeyed it.
        expect(keys.length).toBeGreaterThanOrEqual(4 * lives);
        expect(new Set(keys).size).toBe(keys.length);
        expect(packets.repeated).toEqual([]);
        expect(packets.spis).toBeGreaterThan(3 * lives); // some carry nothing in one direction before we die
      } finally {
        await strongswan?.stop();
        await sites.close();
      }
    },
  );

  test("we never have a sequence number twice between two of us, and nothing is left behind", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const sites = await createSites();
    let peer: IkebanaDaemon | undefined;
    try {
      peer = await startIkebana(sites.right, MIRRORED);
      const { lives, packets } = await liveAndDie(sites);
      progress(`${lives} lives between two of us: ${packets.count} packets, ${packets.spis} SPIs`);
      expect(packets.repeated).toEqual([]);
      expect(packets.spis).toBeGreaterThan(3 * lives); // some carry nothing in one direction before we die
    } finally {
      await peer?.stop("SIGKILL");
      await sites.close();
    }
  });
});

/** The other end's configuration, made from ours. */
const MIRRORED = SCENARIO.ikebana
  .replace(/local: \{ address: 192\.0\.2\.1, id: a/, "local: { address: 192.0.2.2, id: b")
  .replace(/remote: \{ address: 192\.0\.2\.2, id: b/, "remote: { address: 192.0.2.1, id: a")
  .replace("start: start", "start: respond")
  .replace(/local: \[10\.1\.0\.0\/24, "fd01::\/64"\]/, 'local: [10.2.0.0/24, "fd02::/64"]')
  .replace(/remote: \[10\.2\.0\.0\/24, "fd02::\/64"\]\n(\s+esp)/, 'remote: [10.1.0.0/24, "fd01::/64"]\n$1');

/** Lives of the left gateway, one after the other in one directory: up, pings, a rekeying, pings, SIGKILL. */
async function liveAndDie(sites: Sites) {
  const packets = new EspPackets(sites);
  let directory: string | undefined;
  let before: readonly string[] | undefined;
  try {
    for (let life = 1; life <= LIVES; life++) {
      const daemon: IkebanaDaemon = await startIkebana(sites.left, SCENARIO.ikebana, {
        ...(directory !== undefined && { directory }),
        keepDirectory: true,
      });
      try {
        directory = daemon.directory;
        const spi = await childSpi(daemon, undefined);
        await untilPingsPass(sites);
        await daemon.client.rekey("office", "children");
        await childSpi(daemon, spi);
        expect(await pingBothWays(sites, undefined, 5), daemon.log).toEqual([]);
      } finally {
        daemon.signal("SIGKILL");
        await daemon.waitForEnd();
      }
      expect(sites.leftLinks()).toEqual(["lo", "wire0"]);
      expect(sites.leftRoutes("ikebana0")).toEqual([]);
      // The socket's file stays, and the next life takes it over; it never gets more.
      const files = listFiles(directory!);
      before ??= files;
      expect(files).toEqual(before);
      if (life % 10 === 0) progress(`life ${life} of ${LIVES}`);
    }
  } finally {
    packets.close();
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  }
  expect(existsSync(directory!)).toBe(false);
  return { lives: LIVES, packets };
}

/** Waits for one child SA that is not the one before. */
async function childSpi(daemon: IkebanaDaemon, before: string | undefined): Promise<string> {
  let spi: string | undefined;
  await until(
    "there is one child SA, a new one",
    async () => {
      const children = (await daemon.connection()).ikeSa?.children ?? [];
      spi = children[0]?.inboundSpi;
      return children.length === 1 && spi !== before;
    },
    { timeoutMs: 30_000, describe: () => daemon.log },
  );
  return spi!;
}

/** What the peer still sends into an SA of our former life is lost. */
async function untilPingsPass(sites: Sites): Promise<void> {
  await until("pings pass", async () => (await pingBothWays(sites, undefined, 5)).length === 0);
}

function listFiles(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true }).map(String).sort();
}

/** ESP packets on the wire by direction, SPI and sequence number. */
class EspPackets {
  readonly #seen = new Set<string>();
  readonly #spis = new Set<string>();
  readonly repeated: string[] = [];
  readonly #capture: ReturnType<Sites["watch"]>;

  constructor(sites: Sites) {
    this.#capture = sites.watch((frame) => {
      const { spi, sequenceNumber, source } = describeFrame(frame);
      if (spi === undefined) return;
      const packet = `${source} ${spi} ${sequenceNumber}`;
      if (this.#seen.has(packet)) this.repeated.push(packet);
      this.#seen.add(packet);
      this.#spis.add(`${source} ${spi}`);
    });
  }

  get count(): number {
    return this.#seen.size;
  }

  get spis(): number {
    return this.#spis.size;
  }

  close(): void {
    this.#capture.close();
    expect(this.#capture.missed).toBe(0);
  }
}

/** Hashes of all ESP keys in strongSwan's log: "encryption initiator key => 36 bytes @ 0x...", and lines of octets behind it. */
function trafficKeys(log: string): readonly string[] {
  const hashes: string[] = [];
  const lines = log.split("\n");
  for (const [i, line] of lines.entries()) {
    const length = Number(/encryption (?:initiator|responder) key => (\d+) bytes/.exec(line)?.[1] ?? 0);
    if (length === 0) continue;
    const octets = lines
      .slice(i + 1, i + 1 + Math.ceil(length / 16))
      .flatMap((dump) => /\d+: ((?:[0-9A-F]{2} ){1,16})/.exec(`${dump} `)?.[1]?.trim().split(" ") ?? []);
    expect(octets.length).toBe(length);
    hashes.push(createHash("sha256").update(octets.join("")).digest("hex"));
  }
  return hashes;
}
