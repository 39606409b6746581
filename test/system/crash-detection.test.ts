import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createSites, pingBothWays } from "../interop/sites.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";

const configuration = (ours: 1 | 2, start: string): string => `
socket: ikebana.sock
state: state
connections:
  office:
    local: { address: 192.0.2.${ours}, id: host${ours}.example.org, psk: "correct horse battery staple" }
    remote: { address: 192.0.2.${3 - ours}, id: host${3 - ours}.example.org }
    start: ${start}
    children:
      lan: { local: [10.${ours}.0.0/24, "fd0${ours}::/64"], remote: [10.${3 - ours}.0.0/24, "fd0${3 - ours}::/64"] }
`;

test.skipIf(!requireRoot("a gateway that is killed and started again"))(
  "a gateway that is killed and started again is called at once: it shows that it has lost its SAs, and the session is resumed",
  { timeout: 60_000 },
  async () => {
    const sites = await createSites();
    const directory = mkdtempSync(join(tmpdir(), "ikebana-"));
    const daemons: IkebanaDaemon[] = [];
    try {
      const start = () =>
        startIkebana(sites.right, configuration(2, "respond"), { directory, keepDirectory: true });
      const first = await start();
      daemons.push(first);
      const client = await startIkebana(sites.left, configuration(1, "start"));
      daemons.push(client);
      const spi = async () => {
        const { ikeSa } = await client.connection();
        return ikeSa?.children.length === 1 ? ikeSa.initiatorSpi : undefined;
      };
      await until("the tunnel is up", async () => (await spi()) !== undefined, {
        describe: () => client.log,
      });
      expect(statSync(join(directory, "state", "crash-secret.json")).mode & 0o777).toBe(0o600);
      const before = await spi();
      await first.stop("SIGKILL");
      daemons.push(await start());
      // The next sign of life finds it out.
      await client.client.liveness("office");
      await client.logged("was started again, and shows that it has lost it");
      await until("it is up again", async () => ![undefined, before].includes(await spi()), {
        describe: () => client.log,
      });
      expect(statSync(join(directory, "state", "ticket-keys.json")).mode & 0o777).toBe(0o600);
      expect(statSync(join(client.directory, "state", "tickets.json")).mode & 0o777).toBe(0o600);
      expect((await client.connection()).ikeSa).toMatchObject({ resumed: true });
      expect(await pingBothWays(sites)).toEqual([]);
    } finally {
      for (const daemon of daemons) if (daemon.ending === undefined) await daemon.stop("SIGKILL");
      rmSync(directory, { recursive: true, force: true });
      await sites.close();
    }
  },
);
