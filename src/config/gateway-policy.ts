import { judgeByTrust } from "../auth/eap-tls-judge.ts";
import type { ServerMethod } from "../eap/method.ts";
import { createEapServer } from "../eap/server.ts";
import { eapTlsServer } from "../eap/tls/server.ts";
import type { AccountingPolicy } from "../engine/client-sessions.ts";
import type { DisconnectPolicy } from "../engine/disconnect-listener.ts";
import { PolicyError } from "../errors/index.ts";
import { EapType } from "../iana/eap.ts";
import type { TrustPolicy } from "../pki/trust.ts";
import { systemRandom } from "../platform/random.ts";
import type { ConnectionPolicy, RemoteAuthentication } from "../policy/connection.ts";
import { DEFAULT_IKE_PROPOSALS } from "../policy/default-proposals.ts";
import { parseIdentity } from "../policy/identity.ts";
import { selectorsFromPrefixes } from "../policy/traffic-selectors.ts";
import { numberProposals } from "../policy/transforms.ts";
import { ownAddressIn } from "../pool/prefix.ts";
import { loadUsers } from "../users/users-file.ts";
import type { Findings, Remark } from "./connections.ts";
import { defaultEspProposals } from "./default-esp.ts";
import { DEFAULT_REPLAY_WINDOW_PACKETS, IKE_PORT } from "./defaults.ts";
import type { GatewayConfig } from "./gateway.ts";
import { GatewayLogins } from "./gateway-logins.ts";
import { LiveCertificates } from "./live-certificates.ts";
import { radiusLedger } from "./radius-accounting.ts";
import { digestOfServers, radiusLogins, readRadiusServers } from "./radius-logins.ts";
import { trustAnchorsIn, trustPolicy } from "./trust.ts";

/** The gateway's connection, by this name in `status` and in the log. */
const GATEWAY_NAME = "gateway";

/** Clients rekey when they like; a gateway that begins is refused by Windows behind a NAT. What stops an SA is its hard limit or lifetime. */
const LEFT_TO_CLIENTS = {
  octets: Number.POSITIVE_INFINITY,
  packets: Number.POSITIVE_INFINITY,
};

/** Reads what the gateway's configuration names, and makes a connection of it that whoever can log in may use. */
export function gatewayPolicy(gateway: GatewayConfig): Findings & {
  readonly logins?: GatewayLogins;
  readonly accounting?: AccountingPolicy;
  readonly disconnect?: DisconnectPolicy;
} {
  const problems: Remark[] = [];
  const warnings: Remark[] = [];
  let logins: GatewayLogins | undefined;
  const attempt = <Value>(path: Remark["path"], read: () => Value): Value | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      problems.push({ path, message: error.message });
      return undefined;
    }
  };
  const certificates = attempt(["gateway", "certificate"], () => new LiveCertificates(gateway.certificates));
  const trust =
    gateway.clientAuthorities.length === 0
      ? undefined
      : attempt(["gateway", "ca"], () => trustInClients(gateway));
  const methods: ServerMethod[] = [];
  const mutual: ServerMethod[] = [];
  const authentication: RemoteAuthentication[] = [];
  for (const way of gateway.authentications) {
    if (way === "certificate" && trust !== undefined) authentication.push({ kind: "certificate", trust });
    if (way === "eap-tls" && trust !== undefined && certificates !== undefined) {
      const method = eapTlsMethod(certificates, trust);
      methods.push(method);
      if (gateway.takesEapOnly) mutual.push(method);
    }
    if (way === "eap-mschapv2") {
      attempt(["gateway", "users"], () => {
        const usersFile = gateway.usersFile!;
        warnings.push(
          ...loadUsers(usersFile).warnings.map((message) => ({ path: ["gateway", "users"], message })),
        );
        logins = GatewayLogins.of({ usersFile, name: gateway.domain });
        methods.push(logins.method);
      });
    }
    if (way === "radius") {
      const read = attempt(["radius"], () => readRadiusServers(gateway.radiusServers));
      warnings.push(...(read?.warnings ?? []).map((message) => ({ path: ["radius"], message })));
      if (read !== undefined) {
        const { servers } = read;
        const server = radiusLogins(servers, gateway.domain);
        authentication.push({ kind: "eap", server, deciders: digestOfServers(servers) });
      }
    }
  }
  if (methods.length > 0) {
    authentication.push({
      kind: "eap",
      server: createEapServer({ methods, random: systemRandom }),
      ...(mutual.length > 0 && { mutualServer: createEapServer({ methods: mutual, random: systemRandom }) }),
      ...(gateway.authentications.includes("eap-tls") && trust && { trust }),
      ...(logins && { accounts: logins }),
    });
  }
  const { radiusAccounting, radiusDisconnect } = gateway;
  const ledger =
    radiusAccounting &&
    attempt(["radius", "accounting"], () => {
      const { servers, warnings: remarks } = readRadiusServers(radiusAccounting.servers);
      warnings.push(...remarks.map((message) => ({ path: ["radius", "accounting"], message })));
      return radiusLedger(servers, gateway.domain);
    });
  const disconnect =
    radiusDisconnect &&
    attempt(["radius", "disconnect"], () => {
      const { servers: clients, warnings: remarks } = readRadiusServers(radiusDisconnect.clients);
      warnings.push(...remarks.map((message) => ({ path: ["radius", "disconnect"], message })));
      const { address, port } = radiusDisconnect;
      return { clients, address, port, nasIdentifier: gateway.domain };
    });
  if (certificates === undefined || problems.length > 0) return { connections: [], problems, warnings };
  const policy: ConnectionPolicy = {
    name: GATEWAY_NAME,
    start: "respond",
    local: {
      address: undefined,
      identity: parseIdentity(gateway.domain),
      authentication: certificates,
    },
    remote: {
      address: undefined,
      port: IKE_PORT,
      identity: undefined,
      authentication,
    },
    gives: {
      dns: gateway.dns,
      // Everything is no network of ours to tell of: clients send it into the tunnel anyway.
      subnets: gateway.subnets.filter((subnet) => !subnet.endsWith("/0")),
      domains: gateway.domains.map((name) => ({ name, trustAnchors: [] })),
    },
    asksRoutesAt: selectorsFromPrefixes(informPrefixes(gateway)),
    ikeProposals: numberProposals(gateway.ike ?? DEFAULT_IKE_PROPOSALS),
    children: [
      {
        name: "clients",
        local: selectorsFromPrefixes(gateway.subnets),
        remote: selectorsFromPrefixes(gateway.pools),
        espProposals: numberProposals(gateway.esp ?? defaultEspProposals()),
        replayWindowPackets: DEFAULT_REPLAY_WINDOW_PACKETS,
        rekey: LEFT_TO_CLIENTS,
      },
    ],
    ...(gateway.reauthMs !== undefined && { reauthMs: gateway.reauthMs }),
    ...(gateway.redirectTo !== undefined && { redirectTo: gateway.redirectTo }),
    ...(gateway.resumes !== undefined && { resumes: gateway.resumes }),
    clientLifetimes: { childMs: gateway.childLifetimeMs, ikeMs: gateway.ikeLifetimeMs },
    ...(gateway.takesWindowsDefault && { compat: ["windows-default"] as const }),
  };
  if (gateway.takesWindowsDefault) {
    const message = "windows-default takes MODP-1024 and SHA-1 from whoever offers nothing better";
    warnings.push({ path: ["gateway", "compat"], message });
  }
  for (const key of ["childLifetime", "ikeLifetime"] as const) {
    if (gateway[`${key}Ms`] >= SLOWEST_CLIENT_MS) continue;
    const message = `some clients rekey but once a day, and ${key} cuts them off before: 28h suits all that are known`;
    warnings.push({ path: ["gateway", key], message });
  }
  return {
    connections: [policy],
    ...(logins !== undefined && { logins }),
    ...(ledger && { accounting: { ledger, interimMs: radiusAccounting.interimMs } }),
    ...(disconnect && { disconnect }),
    problems,
    warnings,
  };
}

/** Apple's clients, unless their profile says less. */
const SLOWEST_CLIENT_MS = 24 * 3_600_000;

function trustInClients({ clientAuthorities, revocation }: GatewayConfig): TrustPolicy {
  const anchors = trustAnchorsIn(clientAuthorities);
  return trustPolicy({ anchors, purpose: "client", revocation });
}

/** With the certificates as they are by then: they may be renewed while we run. */
function eapTlsMethod(certificates: LiveCertificates, trust: TrustPolicy): ServerMethod {
  const judge = judgeByTrust({ trust, wallClock: Date.now });
  return {
    type: EapType.EAP_TLS,
    begin: (peer) => eapTlsServer({ credentials: certificates.credentials, judge }).begin(peer),
  };
}

/** Where a DHCPINFORM goes to, and where our answer comes from (engine/inform-answers.ts). */
function informPrefixes({ pools, subnets }: GatewayConfig): readonly string[] {
  const ipv4 = pools.filter((pool) => !pool.includes(":"));
  if (ipv4.length === 0 || subnets.includes("0.0.0.0/0")) return [];
  return ["255.255.255.255/32", ...ipv4.map((pool) => `${ownAddressIn(pool)}/32`)];
}
