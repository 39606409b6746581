import { resolve } from "node:path";
import type * as v from "valibot";
import { parsePrefix } from "../bytes/ip-address.ts";
import type { InsideNetwork } from "../engine/gateway-network.ts";
import type { CredentialFiles } from "../pki/credential.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import type { Proposal } from "../wire/payloads/proposal.ts";
import type { Remark } from "./connections.ts";
import type { GATEWAY_AUTHENTICATIONS, gatewaySchema, radiusSchema } from "./gateway-schema.ts";
import { type RevocationEntry, revocationIn } from "./revocation.ts";
import { filesOf } from "./trust.ts";

export type GatewayEntry = v.InferOutput<typeof gatewaySchema>;
type RadiusEntry = v.InferOutput<typeof radiusSchema>;
type GatewayAuthentication = (typeof GATEWAY_AUTHENTICATIONS)[number];

/** `gateway:` with nothing left out. Paths are absolute. */
export interface GatewayConfig extends InsideNetwork {
  /** What users type, and what the certificates have to say: a domain name, or an IP address. */
  readonly domain: string;
  /** In order of preference. */
  readonly certificates: readonly CredentialFiles[];
  readonly authentications: readonly GatewayAuthentication[];
  /** Whether a client that logs in by EAP-TLS may do without our AUTH (RFC 5998). */
  readonly takesEapOnly: boolean;
  /** In order of preference; empty where we decide on logins ourselves. */
  readonly radiusServers: readonly RadiusServerConfig[];
  /** Undefined where nobody keeps account of clients. */
  readonly radiusAccounting: RadiusAccountingConfig | undefined;
  /** Undefined where no server may end what clients have. */
  readonly radiusDisconnect: RadiusDisconnectConfig | undefined;
  /** Undefined where nobody logs in with a password of ours. */
  readonly usersFile: string | undefined;
  /** PEM files of CAs whose certificates clients may show. */
  readonly clientAuthorities: readonly string[];
  /** Who is asked whether clients' certificates were revoked. */
  readonly revocation?: RevocationEntry;
  readonly dns: readonly string[];
  readonly domains: readonly string[];
  /** What clients reach through us. */
  readonly subnets: readonly string[];
  readonly devicesPerUser: number;
  /** How long a login holds; undefined is for ever. */
  readonly reauthMs: number | undefined;
  /** Where clients go that can be sent elsewhere; undefined: they stay. */
  readonly redirectTo: ConnectionPolicy["redirectTo"];
  /** Undefined: sessions may be resumed. */
  readonly resumes: boolean | undefined;
  /** How long child SAs and IKE SAs stand that a client does not rekey; Infinity is for ever. */
  readonly childLifetimeMs: number;
  readonly ikeLifetimeMs: number;
  /** Takes what Windows offers without a script: MODP-1024, and SHA-1 for integrity. */
  readonly takesWindowsDefault: boolean;
  /** Undefined for the usual proposals. */
  readonly ike: readonly Proposal[] | undefined;
  readonly esp: readonly Proposal[] | undefined;
}

export interface RadiusServerConfig {
  readonly address: string;
  readonly port: number;
  /** The secret itself, or the absolute path of the file that has it. */
  readonly secret: string | { readonly file: string };
}

interface RadiusAccountingConfig {
  /** In order of preference. */
  readonly servers: readonly RadiusServerConfig[];
  /** Between two interim updates; Infinity for none. */
  readonly interimMs: number;
}

interface RadiusDisconnectConfig {
  readonly clients: readonly Omit<RadiusServerConfig, "port">[];
  /** Where we listen; undefined: at every address. */
  readonly address: string | undefined;
  readonly port: number;
}

/** RFC 2865 section 3. */
const RADIUS_PORT = 1812;
/** RFC 2866 section 3. */
const ACCOUNTING_PORT = 1813;
/** RFC 5176 section 2.1. */
const DISCONNECT_PORT = 3799;
/** RFC 2869 section 5.16: not less than ten minutes unless somebody wants it so. */
const DEFAULT_INTERIM_MS = 600_000;
const DEFAULT_DEVICES_PER_USER = 5;
/** 28 hours: Windows rekeys child SAs after one and IKE SAs after eight, Android after one and two, Apple's clients within a day. */
const DEFAULT_LIFETIME_MS = 28 * 3_600_000;
const EVERYTHING = ["0.0.0.0/0", "::/0"];
/** An address for us, and one for a client. */
const SMALLEST_POOL_HOST_BITS = 2;

/** Completes what the file leaves out and checks what values mean together. Everything wrong is collected. */
export function completeGateway(
  entry: GatewayEntry,
  { radius, folder }: { readonly radius: RadiusEntry | undefined; readonly folder: string },
): { readonly gateway: GatewayConfig; readonly problems: readonly Remark[] } {
  const problems: Remark[] = [];
  const complain = (below: readonly (string | number)[], message: string) =>
    problems.push({ path: ["gateway", ...below], message });
  const certificates = certificatesOf(entry, complain);
  const authentications = entry.auth ?? (entry.users === undefined ? ["certificate"] : ["eap-mschapv2"]);
  if (authentications.includes("eap-mschapv2") && entry.users === undefined) {
    complain(["auth"], "eap-mschapv2 needs the key users: a file that `ikebana users add` writes");
  }
  if (authentications.includes("eap-tls") && entry.ca === undefined) {
    complain(["auth"], "eap-tls needs the key ca: who has issued the clients' certificates");
  }
  // RFC 5998 section 4. A client that trusts EAP-MSCHAPv2 alone tells anybody what the password can be guessed from; and which method
  // a RADIUS server takes is not ours to know.
  if (entry.eapOnly === true && !authentications.includes("eap-tls")) {
    complain(["eapOnly"], "it needs auth: eap-tls, the one method that shows clients who the gateway is");
  }
  checkRadius(authentications, radius, complain);
  if (authentications.includes("certificate") && entry.ca === undefined) {
    complain(
      entry.auth === undefined ? [] : ["auth"],
      entry.auth === undefined
        ? "say how clients show who they are: users: FILE for names and passwords, ca: FILE for certificates"
        : "certificate needs the key ca: who has issued the clients' certificates",
    );
  }
  const showCertificates = authentications.some((each) => each === "certificate" || each === "eap-tls");
  if (entry.revocation !== undefined && !showCertificates) {
    complain(
      ["revocation"],
      "it is about clients' certificates, and clients here show none (auth: certificate or eap-tls)",
    );
  }
  checkPools(entry.pool, complain);
  const families = new Set(entry.pool.map(isIpv6));
  if (entry.domains !== undefined && entry.dns === undefined) {
    complain(["domains"], "domains are asked about at the resolvers of dns:, which is missing");
  }
  const gateway: GatewayConfig = {
    domain: entry.domain,
    certificates: certificates.map((files) => filesOf(files, folder)),
    authentications,
    takesEapOnly: entry.eapOnly === true,
    radiusServers: authentications.includes("radius")
      ? radiusServersOf(radius?.servers, { folder, usualPort: RADIUS_PORT })
      : [],
    radiusAccounting: accountingOf(radius, folder),
    radiusDisconnect: disconnectOf(radius, folder),
    usersFile: entry.users === undefined ? undefined : resolve(folder, entry.users),
    clientAuthorities: (entry.ca ?? []).map((path) => resolve(folder, path)),
    ...(entry.revocation && { revocation: revocationIn(folder, entry.revocation) }),
    pools: entry.pool,
    dns: entry.dns ?? [],
    domains: entry.domains ?? [],
    subnets: (entry.subnets ?? EVERYTHING).filter((subnet) => families.has(isIpv6(subnet))),
    devicesPerUser: entry.devicesPerUser ?? DEFAULT_DEVICES_PER_USER,
    reauthMs: entry.reauth,
    redirectTo: entry.redirectTo,
    resumes: entry.resumption,
    childLifetimeMs: entry.childLifetime ?? DEFAULT_LIFETIME_MS,
    ikeLifetimeMs: entry.ikeLifetime ?? DEFAULT_LIFETIME_MS,
    reachEachOther: entry.clientToClient === true,
    masquerades: entry.nat === true,
    takesWindowsDefault: entry.compat?.includes("windows-default") === true,
    ike: entry.ike,
    esp: entry.esp,
  };
  return { gateway, problems };
}

/** Where no others are named, the servers that decide on logins keep account as well. */
function accountingOf(radius: RadiusEntry | undefined, folder: string): RadiusAccountingConfig | undefined {
  if (radius?.accounting === undefined) return undefined;
  const { interim = DEFAULT_INTERIM_MS } = radius.accounting;
  const entries =
    radius.accounting.servers ?? radius.servers.map(({ address, secret }) => ({ address, secret }));
  return {
    servers: radiusServersOf(entries, { folder, usualPort: ACCOUNTING_PORT }),
    interimMs: interim,
  };
}

/** Where no others are named, those who decide on logins may end what came of them. */
function disconnectOf(radius: RadiusEntry | undefined, folder: string): RadiusDisconnectConfig | undefined {
  if (radius?.disconnect === undefined) return undefined;
  const { servers = radius.servers, address, port = DISCONNECT_PORT } = radius.disconnect;
  const clients = servers.map((server) => ({
    address: server.address,
    secret: secretOf(server.secret, folder),
  }));
  return { clients, address, port };
}

function radiusServersOf(
  entries: RadiusEntry["servers"] | undefined,
  { folder, usualPort }: { readonly folder: string; readonly usualPort: number },
): readonly RadiusServerConfig[] {
  return (entries ?? []).map(({ address, port, secret }) => ({
    address,
    port: port ?? usualPort,
    secret: secretOf(secret, folder),
  }));
}

function secretOf(secret: RadiusServerConfig["secret"], folder: string): RadiusServerConfig["secret"] {
  return typeof secret === "string" ? secret : { file: resolve(folder, secret.file) };
}

function checkRadius(
  authentications: readonly GatewayAuthentication[],
  radius: RadiusEntry | undefined,
  complain: Complain,
): void {
  if (!authentications.includes("radius")) return;
  if (radius === undefined) complain(["auth"], "radius needs the key radius: which servers decide on logins");
  const others = authentications.filter((each) => each.startsWith("eap-"));
  if (others.length > 0) {
    complain(["auth"], `the RADIUS server has methods of its own; leave out ${others.join(" and ")}`);
  }
}

type Complain = (below: readonly (string | number)[], message: string) => void;

function certificatesOf(entry: GatewayEntry, complain: Complain): readonly Parameters<typeof filesOf>[0][] {
  const { certificate, key, passphrase, certificates } = entry;
  if (certificates !== undefined) {
    if (certificate !== undefined || key !== undefined) {
      complain(["certificates"], "give either certificate and key, or certificates, not both");
    }
    return certificates;
  }
  if (certificate !== undefined && key !== undefined) return [{ certificate, key, passphrase }];
  if (certificate === undefined && key === undefined) {
    complain([], "the keys certificate and key are missing: what the gateway shows to its clients");
  } else if (key === undefined)
    complain(["certificate"], "the key of this certificate is missing; add key: FILE");
  else complain(["key"], "the certificate of this key is missing; add certificate: FILE");
  return [];
}

function checkPools(pools: readonly string[], complain: Complain): void {
  for (const [index, pool] of pools.entries()) {
    const [, length] = pool.split("/");
    const hostBits = (isIpv6(pool) ? 128 : 32) - Number(length);
    if (hostBits < SMALLEST_POOL_HOST_BITS) {
      complain(["pool", index], `${pool} has no room: one address is ours, each device takes another`);
    }
    const earlier = pools.slice(0, index).find((other) => overlap(other, pool));
    if (earlier !== undefined) complain(["pool", index], `${pool} and ${earlier} overlap`);
  }
}

function overlap(one: string, other: string): boolean {
  const [a, b] = [parsePrefix(one)!, parsePrefix(other)!];
  if (a.start.length !== b.start.length) return false;
  return Buffer.compare(a.start, b.end) <= 0 && Buffer.compare(b.start, a.end) <= 0;
}

function isIpv6(prefix: string): boolean {
  return prefix.includes(":");
}
