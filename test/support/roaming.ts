import { joinNamespaces } from "../../src/platform/namespaces.ts";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { createHost, type TestHost } from "./namespace.ts";
import type { FlowResult } from "./stream/results.ts";

// A machine that roams, and a gateway that it calls, with two cables between them. Each machine is the only one of its network inside:
//
//                        192.0.2.1, .11 ===== wire0 ===== 192.0.2.2
//   10.1.0.1  [ roamer ]                                              203.0.113.2 [ gateway ]  10.2.0.1
//                        198.51.100.1   ===== wire1 ===== 198.51.100.2

export const GATEWAY = "203.0.113.2";
export const HOMES = ["192.0.2.1", "192.0.2.11"] as const;
export const OTHER_HOME = "198.51.100.1";
export const ROAMER_INSIDE = "10.1.0.1";
export const GATEWAY_INSIDE = "10.2.0.1";

export interface Roaming {
  readonly roamer: TestHost;
  readonly gateway: TestHost;
  /** The roamer loses an address of the first cable and gets another; what leads to the gateway leads there again at once. */
  renumber(from: string, to: string): void;
  /** The roamer's default route by this cable goes, or comes back. That by the first is the better one. */
  setRoute(link: "wire0" | "wire1", isThere: boolean): void;
  close(): Promise<void>;
}

export async function createRoaming(): Promise<Roaming> {
  const [roamer, gateway] = await Promise.all([createHost(), createHost()]);
  const systemCalls = createLinuxSystemCalls();
  const join = (link: string, ours: string, theirs: string): void =>
    joinNamespaces(
      systemCalls,
      { pid: roamer.pid, link, prefixes: [ours] },
      { pid: gateway.pid, link, prefixes: [theirs] },
    );
  join("wire0", `${HOMES[0]}/24`, "192.0.2.2/24");
  join("wire1", `${OTHER_HOME}/24`, "198.51.100.2/24");
  const network = roamer.inside(() => new LinuxNetwork(createLinuxSystemCalls()));
  gateway.inside(() => {
    const theirs = new LinuxNetwork(createLinuxSystemCalls());
    for (const address of [GATEWAY, GATEWAY_INSIDE]) theirs.addAddress("lo", `${address}/32`);
    theirs.close();
  });
  network.addAddress("lo", `${ROAMER_INSIDE}/32`);
  const routeBy = (link: "wire0" | "wire1") => ({
    destination: "0.0.0.0/0",
    link,
    gateway: link === "wire0" ? "192.0.2.2" : "198.51.100.2",
    metric: link === "wire0" ? 100 : 200,
  });
  network.addRoute(routeBy("wire0"));
  return {
    roamer,
    gateway,
    renumber: (from, to) => {
      network.removeAddress("wire0", `${from}/24`);
      network.addAddress("wire0", `${to}/24`);
      network.addRoute(routeBy("wire0"));
    },
    setRoute: (link, isThere) => {
      if (isThere) network.addRoute(routeBy(link));
      else network.removeRoute(routeBy(link));
    },
    close: async () => {
      network.close();
      await Promise.all([roamer.close(), gateway.close()]);
    },
  };
}

/** The longest time, in milliseconds, for which nothing of a stream with this many datagrams a second came through. */
export function longestOutageMs({ lostRuns }: FlowResult, rate: number): number {
  return Math.max(0, ...lostRuns.map(({ count }) => (count * 1000) / rate));
}
