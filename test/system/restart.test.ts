import { describe, expect, test } from "vitest";
import { createSites, LEFT_INSIDE, ping, RIGHT_INSIDE, type Sites } from "../interop/sites.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";

const WHAT = "a gateway that is killed and started again";

/** Nobody asks by itself for an hour, nor tries what the path carries: a request under way would meet the next life. */
function configuration(side: "left" | "right", start: string): string {
  const ends = [
    { address: "192.0.2.1", id: "a.example.org", inside: "10.1.0.0/24" },
    { address: "192.0.2.2", id: "b.example.org", inside: "10.2.0.0/24" },
  ];
  const [us, peer] = side === "left" ? ends : ends.reverse();
  return `socket: ikebana.sock
state: state
log: { level: debug }
connections:
  office:
    local: { address: ${us!.address}, id: ${us!.id}, psk: "correct horse battery staple" }
    remote: { address: ${peer!.address}, id: ${peer!.id} }
    start: ${start}
    liveness: { interval: 1h }
    pathMtu: kernel
    children: { lan: { local: ${us!.inside}, remote: ${peer!.inside} } }
`;
}

describe.skipIf(!requireRoot(WHAT))(WHAT, () => {
  test("tells its peer by its first stray packet, and is called again without waiting for silence", () =>
    withDaemons("respond", async ({ sites, left, restart }) => {
      const right = await restart();
      await until(
        "the tunnel is up again",
        async () => {
          await ping(sites.left, { from: LEFT_INSIDE[0], to: RIGHT_INSIDE[0], count: 1 });
          return (await right.connection()).state === "established";
        },
        { timeoutMs: 40_000, describe: () => `${left.log}\n${right.log}` },
      );
      await left.logged("was started again, and shows that it has lost it");
      await until("pings pass", async () => (await pings(sites)).length === 0);
    }));

  test("connects anew when it starts, and the old SA is gone at once", () =>
    withDaemons("start", async ({ sites, left, restart }) => {
      const right = await restart();
      // Without a packet before, by which the other would learn of it and call.
      await until("it has connected", async () => (await right.connection()).state === "established", {
        timeoutMs: 30_000,
        describe: () => `${left.log}\n${right.log}`,
      });
      await until("the tunnel is up again", async () => (await pings(sites)).length === 0, {
        timeoutMs: 30_000,
        describe: () => `${left.log}\n${right.log}`,
      });
      await left.logged("the peer has connected anew");
      const { ikeSa } = await left.connection();
      expect(ikeSa?.role).toBe("responder");
    }));
});

const pings = (sites: Sites) => ping(sites.left, { from: LEFT_INSIDE[0], to: RIGHT_INSIDE[0], count: 3 });

async function withDaemons(
  startOfRight: "start" | "respond",
  action: (facts: {
    readonly sites: Sites;
    readonly left: IkebanaDaemon;
    /** Kills the right gateway, and starts it again in what it left. */
    restart(): Promise<IkebanaDaemon>;
  }) => Promise<void>,
): Promise<void> {
  const sites = await createSites();
  const daemons: IkebanaDaemon[] = [];
  const run = async (side: "left" | "right", start: string, directory?: string): Promise<IkebanaDaemon> => {
    const options = directory === undefined ? {} : { directory };
    const daemon = await startIkebana(sites[side], configuration(side, start), options);
    daemons.push(daemon);
    return daemon;
  };
  try {
    const right = await run("right", "respond");
    const left = await run("left", "start");
    await until("the tunnel is up", async () => (await pings(sites)).length === 0, {
      describe: () => `${left.log}\n${right.log}`,
    });
    const restart = async (): Promise<IkebanaDaemon> => {
      right.signal("SIGKILL");
      await right.waitForEnd();
      return run("right", startOfRight, right.directory);
    };
    await action({ sites, left, restart });
  } finally {
    for (const daemon of daemons) await daemon.stop("SIGKILL");
    await sites.close();
  }
}
