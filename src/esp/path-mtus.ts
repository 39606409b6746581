import type { Path } from "../platform/address.ts";
import { familyOf } from "../platform/socket-address.ts";
import type { Sad } from "./sad.ts";

const UDP_HEADER_LENGTH = 8;
/**
 * By family outside: the IP header; and what is believed at least. Of IPv6 every path takes as much (RFC 8200 section 5). Of IPv4 the
 * kernel has a bound of its own (net.ipv4.route.min_pmtu, 552), beyond which it refuses what is longer, whatever we believe.
 */
const FAMILIES = { 4: { header: 20, least: 256 }, 6: { header: 40, least: 1280 } } as const;
/** Of a link, where nothing is known. */
const USUAL_MTU = 1500;
const REPEAT_MS = 60_000;

/** Keeps child SAs in step with what their paths take. The kernel knows: it hears what routers answer, and forgets it after ten minutes. */
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

  /** The path of a child SA that is installed, or has moved. `isRaw`: without UDP around ESP. */
  set(inboundSpi: number, path: Path, isRaw: boolean): void {
    const slot = this.#sad.outboundOf(inboundSpi)?.slot;
    if (slot === undefined) return;
    this.#paths.set(inboundSpi, { path, slot, isRaw, mtu: USUAL_MTU });
    this.#spis.set(slot, inboundSpi);
    this.#look(inboundSpi);
  }

  forget(inboundSpi: number): void {
    const slot = this.#paths.get(inboundSpi)?.slot;
    this.#paths.delete(inboundSpi);
    if (slot !== undefined && this.#spis.get(slot) === inboundSpi) this.#spis.delete(slot);
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
    const { header, least } = FAMILIES[familyOf(known.path.remote.address)];
    known.mtu = Math.max(least, this.#read(known.path) ?? USUAL_MTU);
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
}
