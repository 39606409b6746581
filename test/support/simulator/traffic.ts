import type { Pair } from "./index.ts";
import type { SimulatedMachine } from "./simulated-machine.ts";

/** How long a data plane holds packets whose SPI has no keys yet. */
const HOLD_MS = 200;

/**
 * Packets from both sides at a steady pace, each through the SA that carries the child at that moment. The link takes a
 * packet as long as `delayMs` says; none is lost on the way, so that every lost one is the doing of the machines.
 */
export class Traffic {
  readonly lost: string[] = [];
  sent = 0;
  readonly #pair: Pair;
  readonly #delayMs: () => number;
  readonly #onTheWay: {
    readonly at: number;
    readonly to: SimulatedMachine;
    readonly spi: number;
    readonly until?: number;
  }[] = [];

  constructor(pair: Pair, delayMs: () => number) {
    this.#pair = pair;
    this.#delayMs = delayMs;
  }

  /** Runs the link until then, with a packet each way every `everyMs`. */
  run(facts: { readonly until: number; readonly everyMs: number; readonly isDone?: () => boolean }): void {
    const { link } = this.#pair;
    while (link.now < facts.until && facts.isDone?.() !== true) {
      const next = Math.min(link.now + facts.everyMs, facts.until);
      link.run({ until: next });
      this.#arrive();
      this.#send();
    }
  }

  /** Lets everything that is on the way arrive. */
  finish(): void {
    const { link } = this.#pair;
    while (this.#onTheWay.length > 0) {
      link.run({ until: link.now + 10 });
      this.#arrive();
    }
  }

  #send(): void {
    const { initiator, responder, link } = this.#pair;
    for (const [from, to] of [
      [initiator, responder],
      [responder, initiator],
    ] as const) {
      const spi = from.outboundSpi();
      this.sent++;
      if (spi === undefined) this.lost.push(`${from.name} has nothing to send through at ${link.now}`);
      else this.#onTheWay.push({ at: link.now + this.#delayMs(), to, spi });
    }
  }

  #arrive(): void {
    const { now } = this.#pair.link;
    for (const packet of this.#onTheWay.splice(0)) {
      const { at, to, spi, until = at + HOLD_MS } = packet;
      if (at > now) {
        this.#onTheWay.push(packet);
        continue;
      }
      const fate = to.receivePacket(spi);
      if (fate === "held" && now < until) this.#onTheWay.push({ ...packet, until });
      else if (fate !== "opened")
        this.lost.push(`${to.name} cannot open ${spi.toString(16)} at ${now} (${fate})`);
    }
  }
}
