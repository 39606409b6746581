import type { ConnectionStatus } from "../../src/engine/status.ts";
import { joinNamespaces } from "../../src/platform/namespaces.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { type IkebanaDaemon, startIkebana } from "./ikebana.ts";
import { createHost, type TestHost } from "./namespace.ts";
import { until } from "./waiting.ts";

const NETWORKS = ['[10.1.0.0/24, "fd01::/64"]', '[10.2.0.0/24, "fd02::/64"]'] as const;

interface Site {
  readonly host: TestHost;
  readonly ikebana: IkebanaDaemon;
}

export interface RoutedTunnel {
  readonly left: Site;
  readonly router: TestHost;
  readonly right: Site;
}

const OUTSIDE = {
  4: { left: "192.0.2.1", near: "192.0.2.254", far: "198.51.100.254", right: "198.51.100.1" },
  6: { left: "2001:db8:1::1", near: "2001:db8:1::fe", far: "2001:db8:2::fe", right: "2001:db8:2::1" },
} as const;

/** Addresses inside, on the loopback link of either host. */
export const INSIDE = { 4: ["10.1.0.1", "10.2.0.1"], 6: ["fd01::1", "fd02::1"] } as const;

/**
 * A tunnel between two hosts with a router between them, IPv4 and IPv6 inside; `family` is outside:
 *
 *   10.1.0.1  [ left ] wire0 ---- near [ router ] far ---- wire0 [ right ]  10.2.0.1
 *   fd01::1                                                                 fd02::1
 *
 * `child` and `top` are lines of the configuration, for the child SA and the file. `prepare` runs before the daemons start.
 */
export async function withRoutedTunnel(
  options: {
    readonly family?: 4 | 6;
    readonly child?: string;
    /** Of the connection, left and right. */
    readonly connection?: readonly [string, string];
    /** Selectors of the left side: its own, and those of the right. */
    readonly selectors?: readonly [string, string];
    /** The same for a second child SA; without, there is none. */
    readonly second?: readonly [string, string];
    readonly top?: string;
    readonly prepare?: (hosts: {
      readonly left: TestHost;
      readonly router: TestHost;
      readonly right: TestHost;
    }) => void;
  },
  action: (tunnel: RoutedTunnel) => Promise<void>,
): Promise<void> {
  const {
    family = 4,
    child = "",
    connection = ["", ""],
    top = "",
    prepare,
    selectors = NETWORKS,
    second,
  } = options;
  const [left, router, right] = await Promise.all([createHost(), createHost(), createHost()]);
  const daemons: IkebanaDaemon[] = [];
  try {
    join({ left, router, right });
    prepare?.({ left, router, right });
    const configure = (place: 0 | 1): string =>
      configuration(place, { family, child, connection: connection[place], top, selectors, second });
    // The responder first.
    daemons.push(await startIkebana(right, configure(1)));
    daemons.push(await startIkebana(left, configure(0)));
    const [rightDaemon, leftDaemon] = daemons as [IkebanaDaemon, IkebanaDaemon];
    const count = second === undefined ? 1 : 2;
    const isUp = ({ ikeSa }: ConnectionStatus): boolean => (ikeSa?.children.length ?? 0) >= count;
    await until(
      "the tunnel is up",
      async () => isUp(await leftDaemon.connection()) && isUp(await rightDaemon.connection()),
    );
    await action({
      left: { host: left, ikebana: leftDaemon },
      router,
      right: { host: right, ikebana: rightDaemon },
    });
  } finally {
    for (const daemon of daemons) await daemon.stop("SIGKILL");
    await Promise.all([left, router, right].map((host) => host.close()));
  }
}

function join(hosts: { readonly left: TestHost; readonly router: TestHost; readonly right: TestHost }): void {
  const systemCalls = createLinuxSystemCalls();
  const { left, router, right } = hosts;
  const prefixes = (place: keyof (typeof OUTSIDE)[4]): readonly string[] => [
    `${OUTSIDE[4][place]}/24`,
    `${OUTSIDE[6][place]}/64`,
  ];
  joinNamespaces(
    systemCalls,
    { pid: left.pid, link: "wire0", prefixes: prefixes("left") },
    { pid: router.pid, link: "near", prefixes: prefixes("near") },
  );
  joinNamespaces(
    systemCalls,
    { pid: right.pid, link: "wire0", prefixes: prefixes("right") },
    { pid: router.pid, link: "far", prefixes: prefixes("far") },
  );
  command(router, "sysctl", ["-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
  for (const [i, host] of [left, right].entries()) {
    const next = i === 0 ? "near" : "far";
    for (const family of [4, 6] as const) {
      command(host, "ip", ["route", "add", "default", "via", OUTSIDE[family][next]]);
      command(host, "ip", ["addr", "add", `${INSIDE[family][i]}/${family === 4 ? 24 : 64}`, "dev", "lo"]);
    }
  }
}

/** Runs a command that has to succeed. */
export function command(host: TestHost, program: string, args: readonly string[], input?: string): string {
  const { status, stdout, stderr } = host.run(program, args, input === undefined ? {} : { input });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

function configuration(
  place: 0 | 1,
  {
    family,
    child,
    connection,
    top,
    selectors,
    second,
  }: {
    readonly family: 4 | 6;
    readonly child: string;
    readonly connection: string;
    readonly top: string;
    readonly selectors: readonly [string, string];
    readonly second: readonly [string, string] | undefined;
  },
): string {
  const addresses = [OUTSIDE[family].left, OUTSIDE[family].right];
  const other = place === 0 ? 1 : 0;
  const children = [selectors, second].map((pair, i) =>
    pair === undefined
      ? ""
      : `      ${i === 0 ? "lan" : "second"}:
        local: ${pair[place]}
        remote: ${pair[other]}
        esp: [chacha20poly1305]
        ${child}
`,
  );
  return `
socket: ikebana.sock
state: state
${top}
connections:
  site:
    local: { address: "${addresses[place]}", id: "host${place}.example.org", psk: "a secret of the test" }
    remote: { address: "${addresses[other]}", id: "host${other}.example.org" }
    start: ${place === 0 ? "start" : "respond"}
    ${connection}
    children:
${children.join("")}`;
}
