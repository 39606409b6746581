import { expect, test } from "vitest";
import { joinNamespaces } from "../../src/platform/namespaces.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { createHost, requireRoot, type TestHost } from "../support/namespace.ts";
import { command } from "../support/routed-tunnel.ts";
import { until } from "../support/waiting.ts";

// A caller and a gateway, and a router between them that lets nothing through while both get other addresses:
//
//   10.1.0.1  [ caller ] wire0  192.0.2.* ---- .254 [ router ] .254 ---- 203.0.113.*  wire0 [ gateway ]  10.2.0.1

const CALLER_INSIDE = "10.1.0.1";
const GATEWAY_INSIDE = "10.2.0.1";

const configuration = (id: string, remote: string, networks: string): string => `
socket: ikebana.sock
state: state
connections:
  office:
    local: { id: ${id}, psk: "correct horse battery staple" }
    remote: ${remote}
    children: { lan: ${networks} }
`;
const CALLER = configuration(
  "a.example.org",
  "{ address: 203.0.113.2, id: b.example.org }",
  "{ local: 10.1.0.0/24, remote: 10.2.0.0/24 }",
);
const GATEWAY = configuration(
  "b.example.org",
  "{ id: a.example.org }",
  "{ local: 10.2.0.0/24, remote: 10.1.0.0/24 }",
);

interface Change {
  readonly gets: readonly string[];
  readonly loses: string;
  /** Where it is behind that. */
  readonly isAt: string;
}

const SYSTEM_CALLS = createLinuxSystemCalls();

function wire(host: TestHost, router: TestHost, network: string, addresses: readonly string[]): void {
  joinNamespaces(
    SYSTEM_CALLS,
    { pid: host.pid, link: "wire0", prefixes: addresses.map((address) => `${address}/32`) },
    { pid: router.pid, link: `to${network}`.replaceAll(".", "-"), prefixes: [`${network}.254/24`] },
  );
  command(host, "ip", ["route", "add", "default", "via", `${network}.254`, "dev", "wire0", "onlink"]);
}

function renumber(host: TestHost, { gets, loses }: Change): void {
  for (const address of gets) command(host, "ip", ["addr", "add", `${address}/32`, "dev", "wire0"]);
  command(host, "ip", ["addr", "del", `${loses}/32`, "dev", "wire0"]);
}

test.skipIf(!requireRoot("both ends of a tunnel move"))(
  "both ends get other addresses within one outage, of which either knows one at most, and the same SAs go on",
  async () => {
    const hosts = await Promise.all([createHost(), createHost(), createHost()]);
    const [caller, router, gateway] = hosts;
    const daemons: IkebanaDaemon[] = [];
    const log = (): string => daemons.map((daemon) => daemon.log).join("\n----\n");
    const lets = (isOpen: boolean): string =>
      command(router, "sysctl", ["-qw", `net.ipv4.ip_forward=${isOpen ? 1 : 0}`]);
    try {
      wire(caller, router, "192.0.2", ["192.0.2.1"]);
      wire(gateway, router, "203.0.113", ["203.0.113.2", "203.0.113.5"]);
      command(caller, "ip", ["addr", "add", `${CALLER_INSIDE}/24`, "dev", "lo"]);
      command(gateway, "ip", ["addr", "add", `${GATEWAY_INSIDE}/24`, "dev", "lo"]);
      lets(true);
      const theirs = await startIkebana(gateway, GATEWAY);
      const ours = await startIkebana(caller, CALLER);
      daemons.push(ours, theirs);
      const ikeSaOf = async (daemon: IkebanaDaemon) => (await daemon.connection()).ikeSa;
      const spis = async (): Promise<unknown> => {
        const ikeSa = await ikeSaOf(ours);
        return [ikeSa?.initiatorSpi, ikeSa?.children.map(({ inboundSpi }) => inboundSpi)];
      };
      const isPinged = (): boolean =>
        caller.run("ping", ["-c", "1", "-W", "1", "-I", CALLER_INSIDE, GATEWAY_INSIDE]).status === 0;
      const waits = { describe: log, timeoutMs: 60_000 };
      await until("the tunnel is up", async () => isPinged(), waits);
      const before = await spis();

      const moveBoth = async (ourChange: Change, theirChange: Change): Promise<void> => {
        lets(false);
        renumber(caller, ourChange);
        renumber(gateway, theirChange);
        const hasNoticed = async (daemon: IkebanaDaemon, { loses }: Change): Promise<boolean> =>
          (await ikeSaOf(daemon))?.local.address !== loses;
        await until(
          "both have noticed",
          async () => (await hasNoticed(ours, ourChange)) && (await hasNoticed(theirs, theirChange)),
          waits,
        );
        lets(true);
        const [here, there] = [ourChange.isAt, theirChange.isAt];
        await until(
          `the path is between ${here} and ${there}`,
          async () => {
            const [ikeSa, peer] = [await ikeSaOf(ours), await ikeSaOf(theirs)];
            return (
              ikeSa?.local.address === here &&
              ikeSa.remote.address === there &&
              peer?.local.address === there &&
              peer.remote.address === here
            );
          },
          waits,
        );
        await until("pings pass again", async () => isPinged(), waits);
        expect(await spis(), log()).toEqual(before);
      };

      // The caller knows of the other address of the gateway.
      await moveBoth(
        { gets: ["192.0.2.11", "192.0.2.12"], loses: "192.0.2.1", isAt: "192.0.2.11" },
        { gets: [], loses: "203.0.113.2", isAt: "203.0.113.5" },
      );
      // The gateway knows of the other address of the caller, which knows of none of the gateway's.
      await moveBoth(
        { gets: [], loses: "192.0.2.11", isAt: "192.0.2.12" },
        { gets: ["203.0.113.6"], loses: "203.0.113.5", isAt: "203.0.113.6" },
      );
    } finally {
      for (const daemon of daemons) await daemon.stop("SIGKILL");
      await Promise.all(hosts.map((host) => host.close()));
    }
  },
);
