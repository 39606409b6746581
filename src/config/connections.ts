import { PolicyError } from "../errors/index.ts";
import { IdType } from "../iana/ikev2-parameters.ts";
import type {
  ChildLifetime,
  ChildPolicy,
  ConnectionPolicy,
  Identity,
  LivenessPolicy,
  Ppk,
  TfcPolicy,
} from "../policy/connection.ts";
import { DEFAULT_IKE_PROPOSALS } from "../policy/default-proposals.ts";
import { parseIdentity } from "../policy/identity.ts";
import { selectorsFromPrefixes } from "../policy/traffic-selectors.ts";
import { numberProposals } from "../policy/transforms.ts";
import { type Authentication, authenticationOf, isHostName, ppkOf } from "./authentication.ts";
import { defaultEspProposals } from "./default-esp.ts";
import { DEFAULT_MTU, DEFAULT_REPLAY_WINDOW_PACKETS, IKE_PORT, NAT_TRAVERSAL_PORT } from "./defaults.ts";
import type { ChildEntry, ConfigFile, ConnectionEntry } from "./schema.ts";
import type { ConfigPath } from "./yaml-source.ts";

/** What is said about a place in the file. */
export interface Remark {
  readonly path: ConfigPath;
  readonly message: string;
}

export interface Findings {
  readonly connections: readonly ConnectionPolicy[];
  readonly problems: readonly Remark[];
  readonly warnings: readonly Remark[];
}

/** A peer whose address has to be looked up. */
export interface NamedHost {
  readonly connection: string;
  readonly host: string;
}

/** Completes what the file leaves out, reads keys, and checks what values mean together. Everything wrong is collected. */
export function completeConnections(
  file: ConfigFile,
  folder: string,
): Findings & { readonly hosts: readonly NamedHost[] } {
  const problems: Remark[] = [];
  const warnings: Remark[] = [];
  const connections: ConnectionPolicy[] = [];
  const hosts: NamedHost[] = [];
  const mtu = file.mtu ?? DEFAULT_MTU;
  for (const [name, entry] of Object.entries(file.connections ?? {})) {
    const path = ["connections", name];
    const complain = (below: ConfigPath, message: string) =>
      problems.push({ path: [...path, ...below], message });
    const warn = (below: ConfigPath, message: string) =>
      warnings.push({ path: [...path, ...below], message });
    const remoteIdentity = entry.remote.id ?? identityOf(entry.remote.address);
    const reporter = { complain, warn };
    const authentication = authenticationOf(entry, { folder, peer: remoteIdentity, reporter });
    const ppk = ppkOf(entry, folder, reporter);
    checkAddresses(entry, complain);
    checkTcp(entry, complain);
    for (const [child, { local, remote }] of Object.entries(entry.children ?? {})) {
      const families = new Set(local.map(({ type }) => type));
      if (remote.some(({ type }) => families.has(type))) continue;
      complain(["children", child], "local and remote have no family in common: one is IPv4, the other IPv6");
    }
    for (const [child, { tfc }] of Object.entries(entry.children ?? {})) {
      if (typeof tfc?.padTo !== "number" || tfc.padTo <= mtu) continue;
      complain(["children", child, "tfc", "padTo"], `${tfc.padTo} octets are more than the mtu of ${mtu}`);
    }
    if (entry.children === undefined && entry.user === undefined) {
      complain([], 'the key "children" is missing');
    }
    const localIdentity = entry.local.id ?? identityOfUser(entry.user) ?? identityOf(entry.local.address);
    if (localIdentity === undefined) complain(["local"], "say who we are: id or address is missing");
    if (remoteIdentity === undefined) complain(["remote"], "say who the peer is: id or address is missing");
    if (authentication === undefined || localIdentity === undefined || remoteIdentity === undefined) continue;
    const { address } = entry.remote;
    if (address !== undefined && isHostName(address)) hosts.push({ connection: name, host: address });
    connections.push(policy({ name, entry, mtu, localIdentity, remoteIdentity, authentication, ppk }));
  }
  warnings.push(...indistinguishable(connections));
  return { connections, hosts, problems, warnings };
}

function policy({
  name,
  entry,
  mtu,
  localIdentity,
  remoteIdentity,
  authentication,
  ppk,
}: PolicyParts): ConnectionPolicy {
  const { local, remote, ike, children, start, ikeRekey, liveness, childless } = entry;
  const { encapsulation, pathMtu, mobike, reauth, redirect, redirectTo, resumption } = entry;
  const tcp = tcpOf(entry);
  const isNamed = remote.address !== undefined && isHostName(remote.address);
  return {
    name,
    start: start ?? (remote.address === undefined ? "respond" : "start"),
    local: { address: local.address, identity: localIdentity, authentication: authentication.local },
    remote: {
      address: isNamed ? undefined : remote.address,
      port: remote.port ?? IKE_PORT,
      identity: remoteIdentity,
      authentication: authentication.remote,
    },
    ikeProposals: numberProposals(ike ?? DEFAULT_IKE_PROPOSALS),
    children: Object.entries(children ?? EVERYTHING).map(([child, parts]) => childPolicy(child, parts, mtu)),
    ...(entry.user !== undefined && { asks: { ipv4: true, ipv6: true } }),
    ...(ikeRekey !== undefined && { ikeRekeyMs: ikeRekey }),
    ...(reauth !== undefined && { reauthMs: reauth }),
    ...(resumption !== undefined && { resumes: resumption }),
    ...(liveness !== undefined && { liveness: livenessOf(liveness) }),
    ...(encapsulation !== undefined && { encapsulation }),
    ...(tcp !== undefined && { tcp }),
    ...(pathMtu !== undefined && { pathMtu }),
    ...(childless !== undefined && { isChildless: childless }),
    ...(ppk !== undefined && { ppk }),
    ...(mobike !== undefined && { isMobile: mobike }),
    ...(redirect !== undefined && { followsRedirects: redirect === "follow" }),
    ...(redirectTo !== undefined && { redirectTo }),
  };
}

/** RFC 9329 section 2: there is no port of its own, so it is the one of NAT traversal. `encapsulation: raw` is a choice already. */
function tcpOf({ remote, tcp, encapsulation }: ConnectionEntry): ConnectionPolicy["tcp"] {
  const mode = tcp ?? (encapsulation === "raw" ? "never" : "auto");
  if (mode === "never" || remote.address === undefined) return undefined;
  const { port = IKE_PORT } = remote;
  return { mode, port: remote.tcpPort ?? (port === IKE_PORT ? NAT_TRAVERSAL_PORT : port) };
}

function checkTcp(
  { remote, tcp, encapsulation }: ConnectionEntry,
  complain: (below: ConfigPath, message: string) => void,
): void {
  const isWanted = tcp === "auto" || tcp === "always";
  if (isWanted && remote.address === undefined)
    complain(["tcp"], "it is for whoever calls, and there is no remote.address to call; see listen.tcp");
  if (isWanted && encapsulation === "raw")
    complain(["tcp"], "encapsulation: raw does without; leave out one of them");
}

interface PolicyParts {
  readonly name: string;
  readonly entry: ConnectionEntry;
  /** Of the TUN device. */
  readonly mtu: number;
  readonly localIdentity: Identity;
  readonly remoteIdentity: Identity;
  readonly authentication: Authentication;
  readonly ppk: Ppk | undefined;
}

/** What a user's login is for when the file does not say: all of it. Our side is the addresses that the gateway gives us. */
const EVERYTHING: Readonly<Record<string, ChildEntry>> = {
  all: {
    local: selectorsFromPrefixes(["0.0.0.0/0", "::/0"]),
    remote: selectorsFromPrefixes(["0.0.0.0/0", "::/0"]),
  },
};

function childPolicy(name: string, entry: ChildEntry, mtu: number): ChildPolicy {
  const { local, remote, esp, replayWindow, copyDscp, clampMss, df, rekey, tfc, mode } = entry;
  return {
    name,
    local,
    remote,
    espProposals: numberProposals(esp ?? defaultEspProposals()),
    replayWindowPackets: replayWindow ?? DEFAULT_REPLAY_WINDOW_PACKETS,
    ...(copyDscp !== undefined && { copyDscp }),
    ...(clampMss !== undefined && { clampsMss: clampMss }),
    ...(df !== undefined && { df }),
    ...(rekey !== undefined && { rekey: lifetimeOf(rekey) }),
    ...(tfc !== undefined && { tfc: tfcOf(tfc, mtu) }),
    ...(mode !== undefined && { mode }),
  };
}

/** Dummy packets are as long as what is padded, or as long as a packet can be. */
function tfcOf({ padTo = 0, dummyEvery = 0 }: NonNullable<ChildEntry["tfc"]>, mtu: number): TfcPolicy {
  const length = padTo === "mtu" ? mtu : padTo;
  return { padTo: length, dummyEveryMs: dummyEvery, dummyLength: length === 0 ? mtu : length };
}

function lifetimeOf({ time, bytes, packets }: NonNullable<ChildEntry["rekey"]>): ChildLifetime {
  return {
    ...(time !== undefined && { timeMs: time }),
    ...(bytes !== undefined && { octets: bytes }),
    ...(packets !== undefined && { packets }),
  };
}

function livenessOf({ interval, timeout, action }: NonNullable<ConnectionEntry["liveness"]>): LivenessPolicy {
  return {
    ...(interval !== undefined && { intervalMs: interval }),
    ...(timeout !== undefined && { timeoutMs: timeout }),
    ...(action !== undefined && { action }),
  };
}

function identityOf(address: string | undefined): Identity | undefined {
  return address === undefined ? undefined : parseIdentity(address);
}

/** What the user types in is who we are; what would be no identity in text is a key ID. */
function identityOfUser(user: string | undefined): Identity | undefined {
  if (user === undefined) return undefined;
  try {
    return parseIdentity(user);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return { type: IdType.ID_KEY_ID, data: new TextEncoder().encode(user) };
  }
}

function checkAddresses(
  { local, remote, start, liveness }: ConnectionEntry,
  complain: (below: ConfigPath, message: string) => void,
): void {
  if (remote.address === undefined) {
    const advice = "we can only start towards a remote.address";
    if (start === "start" || start === "trap") {
      complain(["start"], `${advice}; write start: respond, or give the address`);
    }
    if (liveness?.action === "restart" || liveness?.action === "trap") {
      complain(["liveness", "action"], `${advice}; write action: clear, or give the address`);
    }
  }
  if (local.address === undefined || remote.address === undefined || isHostName(remote.address)) return;
  if (local.address.includes(":") === remote.address.includes(":")) return;
  complain(["remote"], `local ${local.address} and remote ${remote.address} are of different families`);
}

/** Connections between the same ends under the same names: a peer that calls always gets the first. */
function indistinguishable(connections: readonly ConnectionPolicy[]): readonly Remark[] {
  const first = new Map<string, string>();
  return connections.flatMap(({ name, local, remote }) => {
    const ends = JSON.stringify([
      [local.address, local.identity.type, Buffer.from(local.identity.data).toString("hex")],
      [remote.address, remote.identity?.type, Buffer.from(remote.identity?.data ?? []).toString("hex")],
    ]);
    const earlier = first.get(ends);
    if (earlier === undefined) {
      first.set(ends, name);
      return [];
    }
    const message = `"${name}" and "${earlier}" have the same addresses and identities; a peer that calls gets "${earlier}"`;
    return [{ path: ["connections", name], message }];
  });
}
