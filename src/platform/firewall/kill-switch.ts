import { parseCidr, prefixContains } from "../network/prefix.ts";
import { runProgram } from "../run-program.ts";

// One table with one base chain, behind everything that could still change a packet's destination or device. It sees what the machine
// sends and what it forwards, by the device that it leaves by: no route, whoever put it there, leads past it.
//
//   leaving (hook postrouting) --> kept                       for good
//   leaving --> tried, as long as the set "trial" has members; then --> kept, which is what held before

/** Other programs' tables are none of our business; this name is ours. */
const TABLE = "ikebana_killswitch";
/** Behind source NAT (100), the last that touches a packet. */
const PRIORITY = 200;

/** Everything of these that is not multicast is private (RFC 1918, 3927, 4193): a router cannot call the internet its LAN. */
const LAN = {
  ip: "10.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16, 224.0.0.0/24, 239.0.0.0/8, 255.255.255.255",
  ip6: "fc00::/7, fe80::/10, ff02::/16",
} as const;

/** Who may be reached outside of the tunnel, and how. */
interface GatewayOpening {
  readonly address: string;
  /** UDP. */
  readonly ports: readonly number[];
  readonly tcpPorts?: readonly number[];
  /** Whether ESP may go without UDP. */
  readonly isRaw: boolean;
}

/** What may leave the machine. All else is dropped, IPv4 and IPv6, its own packets and those that it forwards. */
export interface KillSwitchRules {
  /** The TUN device. */
  readonly link: string;
  /** Firewall mark of our sockets: nobody else talks to the gateways. */
  readonly mark: number;
  readonly gateways: readonly GatewayOpening[];
  /** The local network too, but for DNS. */
  readonly opensLan: boolean;
}

/** How the kernel stands. */
export type KillSwitchState =
  | { readonly kind: "absent" }
  /** "trial": the rules fall back by themselves. "over": they have. */
  | { readonly kind: "loaded" | "trial" | "over"; readonly droppedPackets: number };

/** The rules as a text for `nft -f`, which puts them in the place of former ones in one transaction. */
export function killSwitchText(rules: KillSwitchRules): string {
  return `${REMOVAL}${table(["goto kept"], [chain("kept", openings(rules))])}`;
}

/**
 * The same for a while: the kernel itself goes back to `former` (or to dropping nothing) after so many seconds, whatever has become of us.
 */
export function killSwitchTrialText(
  rules: KillSwitchRules,
  { seconds, former }: { readonly seconds: number; readonly former: KillSwitchRules | undefined },
): string {
  const members = ["ipv4", "ipv6"].map((family) => `${family} timeout ${seconds}s`).join(", ");
  const trial = `set trial { typeof meta nfproto; flags timeout; elements = { ${members} }; }`;
  const kept = former === undefined ? ["accept"] : openings(former);
  return `${REMOVAL}${table(
    ["meta nfproto @trial goto tried", "goto kept"],
    [trial, chain("tried", openings(rules)), chain("kept", kept)],
  )}`;
}

/** Lets the kernel have it, all or nothing. Throws PlatformError; its code is "ENOENT" without nft, "EPERM" without the right. */
export async function loadKillSwitch(text: string): Promise<void> {
  await nft(["-f", "-"], text);
}

export async function unloadKillSwitch(): Promise<void> {
  await nft(["-f", "-"], REMOVAL);
}

export async function readKillSwitch(): Promise<KillSwitchState> {
  const tables = await nft(["list", "tables", "inet"]);
  if (!tables.split("\n").includes(`table inet ${TABLE}`)) return { kind: "absent" };
  const text = await nft(["list", "table", "inet", TABLE]);
  const droppedPackets = Number(/counter dropped \{\s*packets (\d+)/.exec(text)?.[1] ?? 0);
  const isTrial = text.includes("set trial");
  if (!isTrial) return { kind: "loaded", droppedPackets };
  return { kind: /elements = \{/.test(text.split("chain", 1)[0] ?? "") ? "trial" : "over", droppedPackets };
}

/** Whether the rules for the local network let packets to the address out. */
export function isInLan(address: string): boolean {
  const prefixes = `${LAN.ip}, ${LAN.ip6}`.split(", ");
  return prefixes.some((prefix) => prefixContains(parseCidr(prefix), parseCidr(address)));
}

/** Adding comes first, since only what is there can be deleted. */
const REMOVAL = `table inet ${TABLE}\ndelete table inet ${TABLE}\n`;

function table(first: readonly string[], parts: readonly string[]): string {
  const hook = `type filter hook postrouting priority ${PRIORITY}; policy drop;`;
  return [
    `table inet ${TABLE} {`,
    "counter dropped { }",
    ...parts,
    chain("leaving", [hook, ...first]),
    "}",
    "",
  ].join("\n");
}

function chain(name: string, rules: readonly string[]): string {
  return [`chain ${name} {`, ...rules, "}"].join("\n");
}

function openings({ link, mark, gateways, opensLan }: KillSwitchRules): readonly string[] {
  return [
    'oifname "lo" accept',
    `oifname "${link}" accept`,
    ...gatewayRules(mark, gateways),
    // RFC 2131: what a lease is renewed with. Its first packets go past netfilter.
    "meta nfproto ipv4 udp sport 68 udp dport 67 accept",
    // RFC 8415 section 7.1.
    "udp sport 546 udp dport 547 ip6 daddr { fe80::/10, ff02::1:2, ff05::1:3 } accept",
    // RFC 4861: without neighbors and routers there is no IPv6. Who has passed a router has no hop limit of 255 any more.
    "ip6 hoplimit 255 icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept",
    // RFC 3810: switches that listen let solicitations through only to those who reported.
    "ip6 hoplimit 1 ip6 daddr ff02::/16 icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report } accept",
    ...(opensLan ? lanRules() : []),
    'counter name "dropped" drop',
  ];
}

function gatewayRules(mark: number, gateways: readonly GatewayOpening[]): readonly string[] {
  return (["ip", "ip6"] as const).flatMap((family) => {
    const ours = gateways.filter(({ address }) => address.includes(":") === (family === "ip6"));
    const placesOf = (protocol: "udp" | "tcp"): readonly string[] =>
      ours.flatMap(({ address, ports, tcpPorts = [] }) =>
        (protocol === "udp" ? ports : tcpPorts).map((port) => `${address} . ${port}`),
      );
    const raw = ours.filter(({ isRaw }) => isRaw).map(({ address }) => address);
    const marked = `meta mark ${mark}`;
    return [
      ...(["udp", "tcp"] as const).flatMap((protocol) => {
        const places = placesOf(protocol);
        if (places.length === 0) return [];
        return [`${marked} ${family} daddr . ${protocol} dport { ${unique(places)} } accept`];
      }),
      ...(raw.length > 0 ? [`${marked} ${family} daddr { ${unique(raw)} } meta l4proto esp accept`] : []),
    ];
  });
}

/** A resolver in the LAN asks the internet for us: DNS (53) and DNS over TLS (853) stay in the tunnel. */
function lanRules(): readonly string[] {
  return [
    'meta l4proto { tcp, udp } th dport { 53, 853 } counter name "dropped" drop',
    `ip daddr { ${LAN.ip} } accept`,
    `ip6 daddr { ${LAN.ip6} } accept`,
  ];
}

function unique(elements: readonly string[]): string {
  return [...new Set(elements)].join(", ");
}

function nft(words: readonly string[], input = ""): Promise<string> {
  return runProgram(["nft", ...words], {
    input,
    ifMissing: "the program nft is missing: install the package nftables",
  });
}
