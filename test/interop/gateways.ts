import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { createRelayedHosts, type RelayControl, type RelayedHosts } from "../support/relay/relayed-hosts.ts";
import { type Strongswan, startStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { firstMissing, type Scenario } from "./scenario.ts";
import { createSites, type Sites } from "./sites.ts";

/** The two sites of a scenario with their gateways running. */
export interface Gateways {
  readonly sites: Sites;
  readonly ikebana: IkebanaDaemon;
  readonly strongswan: Strongswan;
}

/** Starts the gateways of a scenario, strongSwan first, runs the action and takes everything away. `prepare` sees the sites before; `impair` are faults of ours. */
export async function withGateways(
  scenario: Scenario,
  action: (gateways: Gateways) => Promise<void>,
  prepare: (sites: Sites) => void = () => {},
  impair = "",
): Promise<void> {
  const sites = await createSites(scenario.plan.addresses);
  await runGateways(scenario, sites, action, { prepare, impair });
}

/** Gateways with a relay between the sites. */
export interface RelayedGateways extends Gateways {
  readonly relay: RelayControl;
}

/** As `withGateways`, with a relay in place of the wire. It has no faults yet. */
export async function withRelayedGateways(
  scenario: Scenario,
  action: (gateways: RelayedGateways) => Promise<void>,
): Promise<void> {
  let hosts: RelayedHosts | undefined;
  const sites = await createSites(scenario.plan.addresses, async (prefixes) => {
    hosts = await createRelayedHosts(prefixes);
    return hosts;
  });
  const { relay } = hosts!;
  await runGateways(scenario, sites, (gateways) => action({ ...gateways, relay }));
}

async function runGateways(
  scenario: Scenario,
  sites: Sites,
  action: (gateways: Gateways) => Promise<void>,
  { prepare, impair = "" }: { readonly prepare?: (sites: Sites) => void; readonly impair?: string } = {},
): Promise<void> {
  let strongswan: Strongswan | undefined;
  let ikebana: IkebanaDaemon | undefined;
  try {
    prepare?.(sites);
    const { swanctl, settings } = scenario;
    strongswan = await startStrongswan(sites.right, { configuration: swanctl, settings });
    ikebana = await startIkebana(sites.left, scenario.ikebana, { impair });
    await action({ sites, ikebana, strongswan });
  } finally {
    await ikebana?.stop("SIGKILL");
    await strongswan?.stop();
    await sites.close();
  }
}

/** As `withGateways`, with the tunnel up: whoever the plan calls the initiator has brought it up. */
export async function withTunnel(
  scenario: Scenario,
  action: (gateways: Gateways) => Promise<void>,
  prepare?: (sites: Sites) => void,
): Promise<void> {
  const run = async (gateways: Gateways): Promise<void> => {
    const { ikebana, strongswan } = gateways;
    if (scenario.plan.initiator === "strongswan") await strongswan.initiate("lan");
    await untilUp(gateways);
    await action(gateways);
    await bothSaid(scenario, { ikebana, strongswan });
  };
  await withGateways(scenario, run, prepare);
}

export async function untilUp({ ikebana, strongswan }: Gateways): Promise<void> {
  await until(
    "both sides have a child SA",
    async () => {
      const { ikeSa } = await ikebana.connection();
      return ikeSa?.children.length === 1 && (await strongswan.listSas()).includes("INSTALLED, TUNNEL");
    },
    { describe: () => `${ikebana.log}\n${strongswan.log}` },
  );
}

/** No IKE SA and no child SA is left on either side. */
export async function untilDown({ ikebana, strongswan }: Gateways): Promise<void> {
  await until(
    "neither side has an SA",
    async () => (await ikebana.connection()).state === "down" && (await strongswan.listSas()) === "",
    { describe: () => `${ikebana.log}\n${strongswan.log}` },
  );
}

/** Both logs hold the lines that the scenario expects, in their order. */
export async function bothSaid(
  { expected }: Scenario,
  { ikebana, strongswan }: Pick<Gateways, "ikebana" | "strongswan">,
): Promise<void> {
  const missing = () => ({
    ikebana: firstMissing(ikebana.log, expected.ikebana),
    strongswan: firstMissing(strongswan.log, expected.strongswan),
  });
  const isAll = (): boolean => missing().ikebana === undefined && missing().strongswan === undefined;
  await until("both sides say what is expected of them", isAll, {
    describe: () => `${JSON.stringify(missing())}\n\n${ikebana.log}\n${strongswan.log}`,
  });
}
