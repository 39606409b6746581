import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { createRelayedHosts, type RelayControl, type RelayedHosts } from "../support/relay/relayed-hosts.ts";
import { until } from "../support/waiting.ts";
import { createSites, type Sites } from "./sites.ts";

/** Two sites with one of us as the gateway of each. */
export interface TwoOfUs {
  readonly sites: Sites;
  readonly left: IkebanaDaemon;
  readonly right: IkebanaDaemon;
}

interface Options {
  /** Makes the wire between the sites. */
  readonly join?: Parameters<typeof createSites>[1];
  /** Of the left and of the right gateway. */
  readonly offloads?: readonly ["auto" | "off", "auto" | "off"];
  readonly workers?: readonly [number, number];
  /** Further variables of the left and of the right gateway. */
  readonly environments?: readonly [Environment, Environment];
}

type Environment = Readonly<Record<string, string>>;

/** Starts both gateways, waits until the left one has brought the tunnel up, runs the action and takes everything away. */
export async function withTwoOfUs(
  action: (both: TwoOfUs) => Promise<void>,
  { join, offloads = ["auto", "auto"], workers = [1, 1], environments = [{}, {}] }: Options = {},
): Promise<void> {
  const sites = await createSites(undefined, join);
  let right: IkebanaDaemon | undefined;
  let left: IkebanaDaemon | undefined;
  try {
    right = await startIkebana(
      sites.right,
      configuration(RIGHT, LEFT, { start: "respond", offloads: offloads[1], workers: workers[1] }),
      { environment: environments[1] },
    );
    left = await startIkebana(
      sites.left,
      configuration(LEFT, RIGHT, { start: "start", offloads: offloads[0], workers: workers[0] }),
      { environment: environments[0] },
    );
    const ends = [left, right];
    await until(
      "the child SA is up on both sides",
      async () => {
        const all = await Promise.all(ends.map((end) => end.connection()));
        return all.every(({ ikeSa }) => ikeSa?.children.length === 1);
      },
      { describe: () => ends.map((end) => end.log).join("\n") },
    );
    await action({ sites, left, right });
  } finally {
    await left?.stop("SIGKILL");
    await right?.stop("SIGKILL");
    await sites.close();
  }
}

/** As `withTwoOfUs`, with a relay in place of the wire. It has no faults yet. */
export async function withRelayedTwoOfUs(
  action: (both: TwoOfUs & { readonly relay: RelayControl }) => Promise<void>,
  options: Omit<Options, "join"> = {},
): Promise<void> {
  let hosts: RelayedHosts | undefined;
  const join = async (prefixes: Parameters<typeof createRelayedHosts>[0]): Promise<RelayedHosts> => {
    hosts = await createRelayedHosts(prefixes);
    return hosts;
  };
  await withTwoOfUs((both) => action({ ...both, relay: hosts!.relay }), { ...options, join });
}

const LEFT = { address: "192.0.2.1", id: "a.example.org", inside: '[10.1.0.0/24, "fd01::/64"]' };
const RIGHT = { address: "192.0.2.2", id: "b.example.org", inside: '[10.2.0.0/24, "fd02::/64"]' };

function configuration(
  ours: typeof LEFT,
  theirs: typeof LEFT,
  {
    start,
    offloads,
    workers,
  }: { readonly start: string; readonly offloads: string; readonly workers: number },
): string {
  return `
socket: ikebana.sock
state: state
offloads: ${offloads}
workers: ${workers}
connections:
  office:
    local: { address: ${ours.address}, id: ${ours.id}, psk: "correct horse battery staple" }
    remote: { address: ${theirs.address}, id: ${theirs.id} }
    start: ${start}
    children:
      lan: { local: ${ours.inside}, remote: ${theirs.inside}, esp: [aes256gcm16-x25519] }
`;
}
