import { expect } from "vitest";
import { decodeHeader } from "../../../src/wire/message.ts";
import type { Pair } from "./index.ts";
import type { InFlight } from "./link.ts";
import type { SimulatedMachine } from "./simulated-machine.ts";

/**
 * A pair of machines whose messages a test moves one by one. After each step a packet goes each way, so that a step that
 * leaves a side without a way to the other is found where it happens.
 */
export class Stage {
  /** Who connected. */
  readonly a: SimulatedMachine;
  readonly b: SimulatedMachine;
  readonly pair: Pair;
  /** Whether packets pass at all times, whatever happens to messages. */
  isLossless = true;
  /** What has become of packets that did not pass. */
  readonly lost: string[] = [];

  constructor(pair: Pair) {
    this.pair = pair;
    this.a = pair.initiator;
    this.b = pair.responder;
  }

  /** The oldest message of `from` that is on the way arrives. */
  deliver(from: SimulatedMachine): void {
    this.arrive(this.hold(from));
  }

  /** The newest one does, before all others. */
  deliverLast(from: SimulatedMachine): void {
    const { inFlight } = this.pair.link;
    const index = inFlight.findLastIndex((datagram) => datagram.from === from);
    if (index < 0) throw new Error(`nothing of ${from.name} is on the way`);
    this.arrive(inFlight.splice(index, 1)[0]!);
  }

  /** The oldest message of `from` is taken off the way, to arrive later or never. */
  hold(from: SimulatedMachine): InFlight {
    const { inFlight } = this.pair.link;
    const index = inFlight.findIndex((datagram) => datagram.from === from);
    if (index < 0) throw new Error(`nothing of ${from.name} is on the way`);
    return inFlight.splice(index, 1)[0]!;
  }

  arrive(datagram: InFlight): void {
    this.pair.link.arrive(datagram);
    this.probe();
  }

  /** Everything arrives, in order, until nobody has anything to say. */
  deliverAll(): void {
    while (this.pair.link.inFlight.length > 0) this.arrive(this.pair.link.take());
  }

  /** Time passes, and messages arrive at once. */
  wait(ms: number): void {
    const { link } = this.pair;
    link.run({ until: link.now + ms });
    this.probe();
  }

  /** Exchange type of the last message that `from` has sent, and whether it was an answer. */
  lastOf(from: SimulatedMachine): { readonly exchangeType: number; readonly isResponse: boolean } {
    const { octets } = this.pair.link.transmitted.findLast((datagram) => datagram.from === from)!;
    return decodeHeader(octets);
  }

  /** A packet each way: it is opened at once, or held for keys that are on their way. */
  probe(): void {
    for (const [from, to] of [
      [this.a, this.b],
      [this.b, this.a],
    ] as const) {
      const spi = from.outboundSpi();
      const fate = spi === undefined ? "unsent" : to.receivePacket(spi);
      if (fate === "opened" || fate === "held") continue;
      const message = `a packet of ${from.name} is ${fate} at ${this.pair.link.now}`;
      this.lost.push(message);
      if (this.isLossless) expect.fail(message);
    }
  }
}
