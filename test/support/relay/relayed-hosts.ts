import { fileURLToPath } from "node:url";
import { joinNamespaces } from "../../../src/platform/namespaces.ts";
import { createLinuxSystemCalls } from "../../../src/platform/system-calls/linux-system-calls.ts";
import type { Faults } from "../faults.ts";
import { LineProcess } from "../line-process.ts";
import { createHost, type JoinedHosts, type TestHost } from "../namespace.ts";
import type { RelayCounts } from "./counts.ts";
import type { RelayArgument, RelayCommand } from "./process.ts";

const PROCESS = fileURLToPath(new URL("../../../dist/test/support/relay/process.js", import.meta.url));
/** Those that a tunnel needs. */
const PORTS = [500, 4500];

/** A test's hold on the relay between two hosts. */
export interface RelayControl {
  readonly pid: number;
  /** From now on these faults, in both directions unless `back` says otherwise. Packets are counted from 0 again. */
  impair(seed: number, there: Faults, back?: Faults): Promise<void>;
  /** The NAT in front of the left host gives it another port. */
  rebind(): Promise<void>;
  counts(): Promise<RelayCounts>;
}

export interface RelayedHosts extends JoinedHosts {
  readonly relay: RelayControl;
}

/**
 * Two hosts as `createJoinedHosts` makes them, with a relay in place of the cable. It carries UDP on the ports that a tunnel
 * needs and nothing else, for each pair of addresses of one family, the first of the left host with the first of the right one.
 */
export async function createRelayedHosts({
  left: leftPrefixes,
  right: rightPrefixes,
  ports = PORTS,
}: {
  readonly left: readonly string[];
  readonly right: readonly string[];
  readonly ports?: readonly number[];
}): Promise<RelayedHosts> {
  const hosts: TestHost[] = [];
  let process: LineProcess | undefined;
  const close = async (): Promise<void> => {
    await process?.stop();
    await Promise.all(hosts.map((host) => host.close()));
  };
  try {
    for (let i = 0; i < 4; i++) hosts.push(await createHost());
    const [left, leftLeg, rightLeg, right] = hosts as [TestHost, TestHost, TestHost, TestHost];
    const systemCalls = createLinuxSystemCalls();
    const join = (one: TestHost, ours: readonly string[], other: TestHost, theirs: readonly string[]) =>
      joinNamespaces(
        systemCalls,
        { pid: one.pid, link: "wire0", prefixes: ours },
        { pid: other.pid, link: "wire0", prefixes: theirs },
      );
    // On each leg the relay has the addresses of the host on the other.
    join(left, leftPrefixes, leftLeg, rightPrefixes);
    join(right, rightPrefixes, rightLeg, leftPrefixes);
    const argument: RelayArgument = {
      lines: linesOf(leftPrefixes, rightPrefixes, ports),
      rightLeg: rightLeg.pid,
    };
    process = new LineProcess(leftLeg, [globalThis.process.execPath, PROCESS, JSON.stringify(argument)]);
    await process.read();
    return { left, right, close, relay: controlOf(process) };
  } catch (error) {
    await close();
    throw error;
  }
}

function linesOf(
  left: readonly string[],
  right: readonly string[],
  ports: readonly number[],
): RelayArgument["lines"] {
  const addressOf = (prefix: string): string => prefix.split("/", 1)[0]!;
  const isIpv6 = (prefix: string): boolean => prefix.includes(":");
  return [false, true].flatMap((family) => {
    const one = left.find((prefix) => isIpv6(prefix) === family);
    const other = right.find((prefix) => isIpv6(prefix) === family);
    if (one === undefined || other === undefined) return [];
    return ports.map((port) => ({
      left: { address: addressOf(one), port },
      right: { address: addressOf(other), port },
    }));
  });
}

function controlOf(process: LineProcess): RelayControl {
  const ask = async (command: RelayCommand): Promise<RelayCounts> =>
    (await process.ask(command)) as RelayCounts;
  return {
    pid: process.pid,
    impair: async (seed, there, back = there) => {
      await ask({ kind: "impair", seed, there, back });
    },
    rebind: async () => {
      await ask({ kind: "rebind" });
    },
    counts: () => ask({ kind: "counts" }),
  };
}
