import type { Path } from "../platform/address.ts";
import { familyOf } from "../platform/socket-address.ts";
import { LONGEST_FRAMED_MESSAGE } from "../wire/tcp-encapsulation.ts";
import type { Sad } from "./sad.ts";

const UDP_HEADER_LENGTH = 8;
/**
 * By family outside: the IP header; and what is believed at least. Of IPv6 every path takes as much (RFC 8200 section 5). Of IPv4 the
 * kernel has a bound of its own (net.ipv4.route.min_pmtu, 552), beyond which it refuses what is longer, whatever we believe.
 */
const FAMILIES = { 4: { header: 20, least: 256 }, 6: { header: 40, least: 1280 } } as const;
/** Of a link, where nothing is known. */
const USUAL_MTU = 1500;
/** The most that ESP in UDP adds to an inner packet: SPI, number, IV, padding and its length, next header, ICV. */
const ESP_OVERHEAD = UDP_HEADER_LENGTH + 8 + 16 + 15 + 2 + 32;
const REPEAT_MS = 60_000;

/**
 * Keeps child SAs in step with what their paths take. The kernel knows: it hears what routers answer, and forgets it after ten minutes.
 * Where routers say nothing, it takes less than the kernel believes, and whoever has probed it sets a limit.
 */
export class PathMtus {
  readonly #sad: Sad;
  readonly #tunMtu: number;
  readonly #read: (path: Path) => number | undefined;
  /** By inbound SPI. */
  readonly #paths = new Map<number, KnownPath>();
  /** Inbound SPI by the slot of the outbound SA. */
  readonly #spis = new Map<number, number>();
  readonly #timer: NodeJS.Timeout;

  /** `read`: the largest packet for a path, IP header included, or undefined when there is no route. */
  constructor(facts: {
    readonly sad: Sad;
    readonly tunMtu: number;
    readonly read: (path: Path) => number | undefined;
  }) {
    this.#sad = facts.sad;
    this.#tunMtu = facts.tunMtu;
    this.#read = facts.read;
    this.#timer = setInterval(() => this.#lookAtShort(), REPEAT_MS);
    this.#timer.unref();
  }

  /** The path of a child SA that is installed, or has moved. `isRaw`: without UDP around ESP. `limit`: what it was found to carry. */
  set(
    inboundSpi: number,
    path: Path,
    facts: { readonly isRaw: boolean; readonly limit?: number | undefined },
  ): void {
    const slot = this.#sad.outboundOf(inboundSpi)?.slot;
    if (slot === undefined) return;
    this.#paths.set(inboundSpi, { path, slot, isRaw: facts.isRaw, mtu: USUAL_MTU, limit: facts.limit });
    this.#spis.set(slot, inboundSpi);
    this.#look(inboundSpi);
  }

  forget(inboundSpi: number): void {
    const slot = this.#paths.get(inboundSpi)?.slot;
    this.#paths.delete(inboundSpi);
    if (slot !== undefined && this.#spis.get(slot) === inboundSpi) this.#spis.delete(slot);
  }

  /** The path of a child SA was found to carry so much, IP header included; undefined: what the kernel says. */
  limit(inboundSpi: number, limit: number | undefined): void {
    const known = this.#paths.get(inboundSpi);
    if (known === undefined) return;
    known.limit = limit;
    this.#look(inboundSpi);
  }

  /** The largest packet of use on a path, as far as the kernel knows: none is longer than what goes into the TUN device makes it. */
  mostOn(path: Path): number | undefined {
    const known = this.#read(path);
    if (known === undefined) return undefined;
    return Math.min(known, this.#tunMtu + ESP_OVERHEAD + FAMILIES[familyOf(path.remote.address)].header);
  }

  /** Asks again for the path of the outbound SA in a slot: something that it sent was too long. */
  lookFor(slot: number): void {
    const inboundSpi = this.#spis.get(slot);
    if (inboundSpi !== undefined) this.#look(inboundSpi);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(inboundSpi: number): void {
    const known = this.#paths.get(inboundSpi);
    if (known === undefined) return;
    if (known.path.stream !== undefined) {
      // TCP cuts it to size.
      this.#sad.fit(inboundSpi, { espLength: LONGEST_FRAMED_MESSAGE, longest: this.#tunMtu });
      return;
    }
    const { header, least } = FAMILIES[familyOf(known.path.remote.address)];
    const { limit = Number.POSITIVE_INFINITY } = known;
    known.mtu = Math.max(least, Math.min(limit, this.#read(known.path) ?? USUAL_MTU));
    const espLength = known.mtu - header - (known.isRaw ? 0 : UDP_HEADER_LENGTH);
    this.#sad.fit(inboundSpi, { espLength, longest: this.#tunMtu });
  }

  /** A path that was short may have become longer: the kernel has forgotten what it heard, and the next packets try. */
  #lookAtShort(): void {
    for (const [inboundSpi, { mtu }] of this.#paths) {
      if (mtu < USUAL_MTU) this.#look(inboundSpi);
    }
  }
}

interface KnownPath {
  readonly path: Path;
  readonly slot: number;
  readonly isRaw: boolean;
  mtu: number;
  limit: number | undefined;
}
