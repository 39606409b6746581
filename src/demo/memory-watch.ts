import type { PlaintextDetector } from "../platform/plaintext-detector.ts";
import type { MemoryWire, WireDatagram } from "../platform/udp/memory-udp.ts";
import { decodeEspHeader } from "../wire/esp-header.ts";
import { classifyDatagram } from "../wire/udp-encapsulation.ts";
import type { WireFacts } from "./story.ts";
import { hexSpi } from "./wire-watch.ts";

/** Sees every datagram on a wire in memory and counts what it is. There is nothing below UDP here. */
export class MemoryWatch {
  readonly #wire: MemoryWire;
  readonly #detector: PlaintextDetector;
  readonly #espBySpi = new Map<number, number>();
  #esp = 0;
  #ike = 0;
  #other = 0;
  #plaintext = 0;

  constructor(wire: MemoryWire, detector: PlaintextDetector) {
    this.#wire = wire;
    this.#detector = detector;
    wire.onDatagram = (datagram) => this.#see(datagram);
  }

  get ike(): number {
    return this.#ike;
  }

  /** Stops, and says what was seen. */
  close(): Omit<WireFacts, "provenByDecoy"> {
    this.#wire.onDatagram = undefined;
    return {
      frames: this.#esp + this.#ike + this.#other,
      espInUdp: this.#esp,
      espBySpi: Object.fromEntries([...this.#espBySpi].map(([spi, count]) => [hexSpi(spi), count])),
      ike: this.#ike,
      neighbors: 0,
      other: this.#other,
      plaintext: this.#plaintext,
      missed: 0,
    };
  }

  #see({ from, to, octets }: WireDatagram): void {
    if (this.#detector.isIn(octets)) this.#plaintext++;
    const isOn = (port: number): boolean => from.port === port || to.port === port;
    const kind = isOn(4500) ? classifyDatagram(octets) : isOn(500) ? "ike" : "other";
    if (kind === "esp") this.#seeEsp(octets);
    else if (kind === "ike") this.#ike++;
    else this.#other++;
  }

  #seeEsp(octets: Uint8Array): void {
    const { spi } = decodeEspHeader(octets);
    this.#esp++;
    this.#espBySpi.set(spi, (this.#espBySpi.get(spi) ?? 0) + 1);
  }
}
