import { parseAddress } from "../bytes/ip-address.ts";
import type { LocalNetwork } from "../ike/mobility/local-network.ts";
import type { Network } from "../platform/network/network.ts";
import { SOCKET_MARK } from "./detours.ts";

/** How often we ask whether addresses or routes have changed: sooner than anybody notices that a call has stopped. */
const LOOK_MS = 100;

/**
 * Our addresses and the routes to peers, as the IKE machine wants to know them. They are read when it asks for the first time, and
 * again behind each change: many SAs ask for the same.
 */
export class LocalAddresses implements LocalNetwork {
  readonly #network: Network;
  readonly #link: string;
  readonly #listening: readonly string[];
  readonly #sources = new Map<string, string | undefined>();
  #all: ReadonlySet<string> | undefined;
  #callable: readonly string[] | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `link` is the TUN device, `listening` the addresses that our sockets are bound to. */
  constructor(facts: {
    readonly network: Network;
    readonly link: string;
    readonly listening: readonly string[];
  }) {
    this.#network = facts.network;
    this.#link = facts.link;
    this.#listening = facts.listening;
  }

  /** Calls when something has changed, from now on. */
  watch(onChange: () => void): void {
    this.#network.hasChanged();
    this.#timer = setInterval(() => {
      if (!this.#network.hasChanged()) return;
      this.#sources.clear();
      this.#all = undefined;
      this.#callable = undefined;
      onChange();
    }, LOOK_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  sourceTo(address: string): string | undefined {
    if (this.#sources.has(address)) return this.#sources.get(address);
    const choice = this.#network.lookUpRoute(address, { mark: SOCKET_MARK });
    const isOutside = choice !== undefined && choice.link !== this.#link && this.#listensOn(choice.source);
    const source = isOutside ? choice.source : undefined;
    if (this.#sources.size === MOST_SOURCES) this.#sources.clear();
    this.#sources.set(address, source);
    return source;
  }

  has(address: string): boolean {
    this.#all ??= new Set(this.#network.addresses().map((each) => each.address));
    return this.#all.has(address);
  }

  addresses(): readonly string[] {
    this.#callable ??= this.#network
      .addresses()
      .filter(({ link, address }) => link !== this.#link && link !== "lo" && isCallable(address))
      .map(({ address }) => address)
      .filter((address) => this.#listensOn(address));
    return this.#callable;
  }

  #listensOn(address: string): boolean {
    const any = address.includes(":") ? "::" : "0.0.0.0";
    return this.#listening.includes(any) || this.#listening.includes(address);
  }
}

const MOST_SOURCES = 1024;

/** Not by its own link alone: 169.254.0.0/16, fe80::/10. */
function isCallable(address: string): boolean {
  const octets = parseAddress(address);
  if (octets === undefined) return false;
  if (octets.length === 4) return octets[0] !== 127 && !(octets[0] === 169 && octets[1] === 254);
  return !(octets[0] === 0xfe && (octets[1]! & 0xc0) === 0x80) && address !== "::1";
}
