import { PacketCapture, type SeenPacket } from "../platform/packet-capture.ts";
import type { PlaintextDetector } from "../platform/plaintext-detector.ts";
import type { WireFacts } from "./story.ts";

/** A veth frame fits whole: what is not kept cannot be searched. */
const SNAP_LENGTH = 1920;

/** Stands between the two machines, looks at every frame as a whole and counts what it is. */
export class WireWatch {
  readonly #detector: PlaintextDetector;
  readonly #capture: PacketCapture;
  readonly #espBySpi = new Map<number, number>();
  #plaintext = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `link`: index of the link, in the network namespace that the thread is in now. Throws PlatformError without the right to watch. */
  constructor(link: number, detector: PlaintextDetector) {
    this.#detector = detector;
    this.#capture = new PacketCapture({
      link,
      snapLength: SNAP_LENGTH,
      onPacket: (packet) => this.#see(packet),
    });
  }

  /** Frames of IKE so far. */
  get ike(): number {
    this.#capture.poll();
    return this.#capture.counts.ike;
  }

  get plaintext(): number {
    this.#capture.poll();
    return this.#plaintext;
  }

  /** Looks more often than the capture does by itself, so that the kernel's buffer lasts while much passes. */
  hurry(): void {
    this.#timer ??= setInterval(() => this.#capture.poll(), 1);
  }

  rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Stops, and says what was seen. */
  close(): Omit<WireFacts, "provenByDecoy"> {
    this.rest();
    this.#capture.close();
    const { counts, missed } = this.#capture;
    return {
      frames: Object.values(counts).reduce((sum, count) => sum + count, 0),
      espInUdp: counts["esp-in-udp"],
      espBySpi: Object.fromEntries([...this.#espBySpi].map(([spi, count]) => [hexSpi(spi), count])),
      ike: counts.ike,
      neighbors: counts.neighbors,
      other: counts.esp + counts.keepalive + counts["in-tcp"] + counts.fragment + counts.other,
      plaintext: this.#plaintext,
      missed,
    };
  }

  #see({ spi, octets }: SeenPacket): void {
    if (spi !== undefined) this.#espBySpi.set(spi, (this.#espBySpi.get(spi) ?? 0) + 1);
    if (this.#detector.isIn(octets)) this.#plaintext++;
  }
}

export function hexSpi(spi: number): string {
  return spi.toString(16).padStart(8, "0");
}
