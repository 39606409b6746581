import { joinNamespaces } from "../../src/platform/namespaces.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { createHost, type TestHost } from "./namespace.ts";

/** Hosts on one Ethernet segment, in the order of their prefixes. */
export interface Segment {
  readonly hosts: readonly TestHost[];
  close(): Promise<void>;
}

/** Makes a host for each prefix ("192.0.2.1/24") with a link "wire0", all plugged into one bridge. */
export async function createSegment(prefixes: readonly string[]): Promise<Segment> {
  const [bridge, ...hosts] = await Promise.all([createHost(), ...prefixes.map(() => createHost())]);
  const close = async (): Promise<void> => {
    await Promise.all([bridge!, ...hosts].map((host) => host.close()));
  };
  try {
    run(bridge!, ["link", "add", "segment0", "type", "bridge"]);
    run(bridge!, ["link", "set", "segment0", "up"]);
    const systemCalls = createLinuxSystemCalls();
    for (const [i, host] of hosts.entries()) {
      const port = `port${i}`;
      joinNamespaces(
        systemCalls,
        { pid: bridge!.pid, link: port, prefixes: [] },
        { pid: host.pid, link: "wire0", prefixes: [prefixes[i]!] },
      );
      run(bridge!, ["link", "set", port, "master", "segment0"]);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { hosts, close };
}

function run(host: TestHost, words: readonly string[]): void {
  const { status, stderr } = host.run("ip", words);
  if (status !== 0) throw new Error(`ip ${words.join(" ")}: ${stderr}`);
}
