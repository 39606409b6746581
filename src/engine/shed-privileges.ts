import { PlatformError } from "../errors/index.ts";
import { lanesOf } from "../esp/lanes.ts";
import { IpProtocol } from "../iana/ip-protocols.ts";
import { areAmbient } from "../platform/privileges/capabilities.ts";
import { type InheritedSocket, SOCKETS_VARIABLE } from "../platform/privileges/inherited-sockets.ts";
import { familyOf } from "../platform/socket-address.ts";
import {
  AF_INET,
  AF_INET6,
  CAP_NET_BIND_SERVICE,
  CAP_NET_RAW,
  FIONCLEX,
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_LOWER,
  SOCK_NONBLOCK,
  SOCK_RAW,
} from "../platform/system-calls/constants.ts";
import { errnoName, succeed } from "../platform/system-calls/errno.ts";
import type { SystemCalls } from "../platform/system-calls/system-calls.ts";
import { bindTcpSocket } from "../platform/tcp/tcp-socket.ts";
import { bindUdpSocket } from "../platform/udp/open-udp-socket.ts";
import type { EngineConfig } from "./engine-config.ts";
import { SERVER_PORT } from "./inform-answers.ts";

/** Ports below need CAP_NET_BIND_SERVICE. */
const FIRST_FREE_PORT = 1024;
const STANDARD_DESCRIPTORS = [0, 1, 2] as const;
const SHED = [CAP_NET_BIND_SERVICE, CAP_NET_RAW] as const;

/**
 * Gives up what only opening sockets needs, CAP_NET_BIND_SERVICE and CAP_NET_RAW, once those sockets are open: by an execve of the same program,
 * which inherits them. Capabilities belong to threads, and the runtime has started some before it runs a line of ours; in the new
 * program no thread ever had them. Does nothing for root, for whoever does not have them as ambient capabilities, and in the second life.
 * Returns only then. Throws PlatformError.
 */
export function shedPrivileges(
  config: EngineConfig,
  { systemCalls, words }: { readonly systemCalls: () => SystemCalls; readonly words: readonly string[] },
): void {
  if (process.getuid?.() === 0 || !areAmbient(SHED)) return;
  // A port that is shared between workers is opened for each of them, later on.
  if (config.listen.natTraversalPort < FIRST_FREE_PORT) return;
  const calls = systemCalls();
  const sockets = openPrivileged(config, calls);
  for (const capability of SHED) {
    succeed(
      `give up capability ${capability}`,
      calls.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, capability),
    );
  }
  // The runtime has marked what it was started with as nobody else's.
  for (const descriptor of STANDARD_DESCRIPTORS) calls.ioctlNumber(descriptor, FIONCLEX, 0);
  const environment = { ...process.env, [SOCKETS_VARIABLE]: JSON.stringify(sockets) };
  const result = calls.execve(
    process.execPath,
    [process.execPath, ...process.execArgv, ...words],
    Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`])),
  );
  throw new PlatformError(`start again without capabilities: ${errnoName(result)}`, {
    code: errnoName(result),
  });
}

/** What cannot be opened is left to the second life, which says so in its own words. */
function openPrivileged(config: EngineConfig, systemCalls: SystemCalls): readonly InheritedSocket[] {
  const { listen, connections, gateway, workers = 1 } = config;
  const sockets: InheritedSocket[] = [];
  if (listen.port < FIRST_FREE_PORT) {
    for (const address of listen.addresses) {
      const place = { address, port: listen.port };
      sockets.push({ use: "udp", ...place, descriptor: bindUdpSocket(systemCalls, place) });
    }
  }
  const { tcpPort = FIRST_FREE_PORT } = listen;
  if (tcpPort < FIRST_FREE_PORT) {
    for (const address of listen.addresses) {
      const place = { address, port: tcpPort };
      sockets.push({ use: "tcp", ...place, descriptor: bindTcpSocket(systemCalls, place) });
    }
  }
  if (connections.some(({ encapsulation }) => encapsulation !== "udp")) {
    // Each lane sends through one of its own.
    for (const family of lanesOf(workers).flatMap(() => [...new Set(listen.addresses.map(familyOf))])) {
      const domain = family === 4 ? AF_INET : AF_INET6;
      const descriptor = systemCalls.socket(domain, SOCK_RAW | SOCK_NONBLOCK, IpProtocol.ESP);
      if (descriptor >= 0) sockets.push({ use: "raw-esp", family, descriptor });
    }
  }
  if (gateway?.pools.some((pool) => !pool.includes(":")) === true) {
    const place = { address: "0.0.0.0", port: SERVER_PORT };
    const descriptor = tryBind(systemCalls, place);
    if (descriptor !== undefined) sockets.push({ use: "service", ...place, descriptor });
  }
  return sockets;
}

/** A DHCP server may be there as well. */
function tryBind(
  systemCalls: SystemCalls,
  place: { readonly address: string; readonly port: number },
): number | undefined {
  try {
    return bindUdpSocket(systemCalls, { ...place, isShared: true });
  } catch {
    return undefined;
  }
}
