import { formatAddress, parseAddress } from "../bytes/ip-address.ts";
import { WireError } from "../errors/index.ts";
import { TokenBucket } from "../ike/token-bucket.ts";
import { parseCidr } from "../platform/network/prefix.ts";
import type { OpenServiceSocket, ServiceSocket } from "../platform/udp/service-socket.ts";
import { ownAddressIn, parsePoolPrefix } from "../pool/prefix.ts";
import { type DhcpMessage, decodeDhcpMessage, encodeDhcpMessage } from "../wire/dhcp-message.ts";

// RFC 2132, RFC 3442; 249 is what Windows calls 121.
const Option = {
  SUBNET_MASK: 1,
  DNS: 6,
  DOMAIN_NAME: 15,
  MESSAGE_TYPE: 53,
  SERVER: 54,
  ROUTES: 121,
  ROUTES_OF_WINDOWS: 249,
} as const;
const DHCPACK = 5;
const DHCPINFORM = 8;
/** Where DHCP servers listen. */
export const SERVER_PORT = 67;
const CLIENT_PORT = 68;
/** A client asks once for each connection. */
const ANSWERS_PER_SECOND = 50;

/** What clients may ask for inside. */
export interface InformPolicy {
  readonly pools: readonly string[];
  readonly dns?: readonly string[];
  readonly domains?: readonly string[];
  /** What lies behind us. */
  readonly subnets?: readonly string[];
}

/**
 * The answer to a DHCPINFORM (RFC 2131 section 4.3.5) from a client of ours; undefined for anything else. Windows asks so, through the tunnel,
 * which networks it should reach that way, and for nothing else would it know: it asks for no INTERNAL_IP4_SUBNET.
 */
export function answerInform(
  octets: Uint8Array,
  sender: string,
  { pools, dns = [], domains = [], subnets = [] }: InformPolicy,
): Uint8Array | undefined {
  const asked = decode(octets);
  const isInform = asked?.op === 1 && asked.options.get(Option.MESSAGE_TYPE)?.[0] === DHCPINFORM;
  if (!isInform || formatAddress(asked.clientAddress) !== sender) return undefined;
  const pool = poolOf(sender, { pools });
  if (pool === undefined) return undefined;

  const server = parseAddress(ownAddressIn(pool))!;
  const options = new Map<number, Uint8Array>([
    [Option.MESSAGE_TYPE, Uint8Array.of(DHCPACK)],
    [Option.SERVER, server],
    [Option.SUBNET_MASK, Uint8Array.of(255, 255, 255, 255)],
  ]);
  const resolvers = dns.flatMap((address) => ipv4(address) ?? []);
  if (resolvers.length > 0)
    options.set(Option.DNS, Uint8Array.from(resolvers.flatMap((octets) => [...octets])));
  if (domains[0] !== undefined) options.set(Option.DOMAIN_NAME, new TextEncoder().encode(domains[0]));
  const routes = Uint8Array.from(subnets.flatMap((subnet) => route(subnet, server)));
  if (routes.length > 0) {
    options.set(Option.ROUTES, routes);
    options.set(Option.ROUTES_OF_WINDOWS, routes);
  }
  return encodeDhcpMessage({ ...asked, op: 2, options });
}

/** Listens where DHCP servers do, for as long as we have clients. */
export class InformAnswers {
  readonly #open: OpenServiceSocket;
  readonly #onWarning: (message: string) => void;
  readonly #rate = new TokenBucket(ANSWERS_PER_SECOND);
  #policy: InformPolicy | undefined;
  #socket: ServiceSocket | undefined;

  constructor(facts: { readonly open: OpenServiceSocket; readonly onWarning: (message: string) => void }) {
    this.#open = facts.open;
    this.#onWarning = facts.onWarning;
  }

  /** Answers as this says from now on. A port that is taken is told of: clients do without, then. */
  async apply(policy: InformPolicy | undefined): Promise<void> {
    this.#policy = policy;
    const isNeeded = policy?.pools.some((pool) => !pool.includes(":")) === true;
    if (isNeeded === (this.#socket !== undefined)) return;
    if (!isNeeded) return this.close();
    try {
      const place = { port: SERVER_PORT, address: "0.0.0.0", isShared: true };
      this.#socket = await this.#open(place, (octets, from) => this.#answer(octets, from));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#onWarning(`Windows clients learn no routes from us (DHCPINFORM): ${reason}`);
    }
  }

  async close(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    await socket?.close();
  }

  #answer(octets: Uint8Array, { address, port }: { readonly address: string; readonly port: number }): void {
    const policy = this.#policy;
    if (policy === undefined || port !== CLIENT_PORT || poolOf(address, policy) === undefined) return;
    const answer = this.#rate.take(performance.now()) ? answerInform(octets, address, policy) : undefined;
    if (answer !== undefined) this.#socket?.send(answer, { address, port });
  }
}

/** The one that an address is of. */
function poolOf(address: string, { pools }: Pick<InformPolicy, "pools">): string | undefined {
  const octets = ipv4(address);
  return octets && pools.find((pool) => parsePoolPrefix(pool).numberOf(octets) !== undefined);
}

function decode(octets: Uint8Array): DhcpMessage | undefined {
  try {
    return decodeDhcpMessage(octets);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

function ipv4(address: string): Uint8Array | undefined {
  const octets = parseAddress(address);
  return octets?.length === 4 ? octets : undefined;
}

/** RFC 3442: the prefix length, as many octets of the prefix as count, the router. A route for everything is no news. */
function route(subnet: string, router: Uint8Array): readonly number[] {
  const { family, octets, length } = parseCidr(subnet);
  if (family === 6 || length === 0) return [];
  return [length, ...octets.subarray(0, Math.ceil(length / 8)), ...router];
}
