import type { Path } from "../platform/address.ts";
import { familyOf } from "../platform/socket-address.ts";
import type { Sad } from "./sad.ts";

const UDP_HEADER_LENGTH = 8;
/** By family outside: the IP header; and the shortest packet that every path takes, below which no hint is believed (RFC 791, RFC 8200 section 5). */
const FAMILIES = { 4: { header: 20, least: 576 }, 6: { header: 40, least: 1280 } } as const;
/** Where nothing is known: the shortest that links have, but for IPv6 tunnels. */
const USUAL_MTU = 1500;

/** Keeps child SAs in step with what their paths take. The kernel knows: it hears what routers answer, and forgets it after ten minutes. */
export class PathMtus {
  readonly #sad: Sad;
  readonly #tunMtu: number;
  readonly #read: (path: Path) => number | undefined;
  /** By inbound SPI. */
  readonly #paths = new Map<number, Path>();

  /** `read`: the largest packet for a path, IP header included, or undefined when there is no route. */
  constructor(facts: {
    readonly sad: Sad;
    readonly tunMtu: number;
    readonly read: (path: Path) => number | undefined;
  }) {
    this.#sad = facts.sad;
    this.#tunMtu = facts.tunMtu;
    this.#read = facts.read;
  }

  /** The path of a child SA that is installed, or has moved. */
  set(inboundSpi: number, path: Path): void {
    this.#paths.set(inboundSpi, path);
    this.look(inboundSpi);
  }

  forget(inboundSpi: number): void {
    this.#paths.delete(inboundSpi);
  }

  /** Asks again for the path of a child SA. */
  look(inboundSpi: number): void {
    const path = this.#paths.get(inboundSpi);
    if (path === undefined) return;
    const { header, least } = FAMILIES[familyOf(path.remote.address)];
    const mtu = Math.max(least, this.#read(path) ?? USUAL_MTU);
    this.#sad.fit(inboundSpi, { espLength: mtu - header - UDP_HEADER_LENGTH, longest: this.#tunMtu });
  }
}
