import type { Path, SocketAddress } from "../../../src/platform/address.ts";
import { decodeHeader, type Header } from "../../../src/wire/message.ts";
import { SeededRandom } from "./seeded-random.ts";
import type { SimulatedMachine } from "./simulated-machine.ts";

/** A datagram on its way. `path` is the receiver's view. */
export interface InFlight {
  readonly octets: Uint8Array;
  readonly from: SimulatedMachine;
  readonly path: Path;
  readonly at: number;
  /** How many were transmitted before. */
  readonly index: number;
}

/** What becomes of a datagram: one delay in milliseconds for each copy that arrives; none when it is lost. */
export type Fate = readonly number[];

export interface Faults {
  /** Chances from 0 to 1. */
  readonly loss: number;
  readonly duplication: number;
  readonly delayMs: readonly [number, number];
}

/**
 * The network between machines, with a clock of its own. A test either takes each step itself (`deliver`, `drop`,
 * `advanceToDeadline`) or lets it run: then every datagram has the fate that `fate` gives it.
 */
export class Link {
  now = 0;
  readonly inFlight: InFlight[] = [];
  /** Everything that was transmitted, in order. */
  readonly transmitted: InFlight[] = [];
  fate: (datagram: InFlight) => Fate = () => [0];

  readonly #machines = new Map<string, SimulatedMachine>();
  readonly #outside = new Map<string, SocketAddress>();
  readonly #inside = new Map<string, SocketAddress>();

  add(machine: SimulatedMachine): void {
    this.#machines.set(machine.address, machine);
  }

  /** Random faults from a seed. */
  impair(seed: number, faults: Faults): void {
    const random = new SeededRandom(seed);
    const [least, most] = faults.delayMs;
    const delay = (): number => least + random.fraction() * (most - least);
    this.fate = () => {
      if (random.fraction() < faults.loss) return [];
      return random.fraction() < faults.duplication ? [delay(), delay()] : [delay()];
    };
  }

  /** From now on a NAT shows what comes from `inside` as `outside`. */
  translate(inside: SocketAddress, outside: SocketAddress): void {
    this.#outside.set(keyOf(inside), outside);
    this.#inside.set(keyOf(outside), inside);
  }

  transmit(from: SimulatedMachine, octets: Uint8Array, path: Path): void {
    const isAnyAddress = path.local.address === "0.0.0.0" || path.local.address === "::";
    const source = isAnyAddress ? { ...path.local, address: from.address } : path.local;
    const arriving = {
      local: this.#inside.get(keyOf(path.remote)) ?? path.remote,
      remote: this.#outside.get(keyOf(source)) ?? source,
    };
    const datagram = {
      octets: octets.slice(),
      from,
      path: arriving,
      at: this.now,
      index: this.transmitted.length,
    };
    this.transmitted.push(datagram);
    for (const delay of this.fate(datagram)) this.inject({ ...datagram, at: this.now + delay });
  }

  /** Puts a datagram on the way, behind those that arrive at the same time. */
  inject(datagram: InFlight): void {
    const behind = this.inFlight.findLastIndex(({ at }) => at <= datagram.at);
    this.inFlight.splice(behind + 1, 0, datagram);
  }

  // ---- Step by step ---------------------------------------------------------------------------------------

  /** The first datagram in flight arrives. */
  deliver(): Header {
    const datagram = this.take();
    this.arrive(datagram);
    return decodeHeader(datagram.octets);
  }

  deliverAll(): void {
    while (this.inFlight.length > 0) this.deliver();
  }

  /** The first datagram in flight is lost. */
  drop(): void {
    this.take();
  }

  /** Takes the first datagram in flight off the link, to be looked at, changed or delivered later. */
  take(): InFlight {
    const datagram = this.inFlight.shift();
    if (datagram === undefined) throw new Error("nothing is in flight");
    return datagram;
  }

  arrive(datagram: InFlight): void {
    this.now = Math.max(this.now, datagram.at);
    const machine = this.#machines.get(datagram.path.local.address);
    machine?.handle({ kind: "datagram", octets: datagram.octets, path: datagram.path });
  }

  /** Time passes until the first machine wants it. */
  advanceToDeadline(): void {
    const at = this.#nearestDeadline();
    if (at === undefined) throw new Error("nobody waits for a time");
    this.advanceTo(at);
  }

  advanceBy(ms: number): void {
    this.advanceTo(this.now + ms);
  }

  /** Time passes, and machines that wait for it are woken at their time. What is in flight stays there. */
  advanceTo(time: number): void {
    for (let at = this.#nearestDeadline(); at !== undefined && at <= time; at = this.#nearestDeadline()) {
      this.now = Math.max(this.now, at);
      this.#fireDue();
    }
    this.now = Math.max(this.now, time);
  }

  // ---- Running by itself ----------------------------------------------------------------------------------

  /** Delivers and waits, in the order of time, until `until` or until `isDone` holds. */
  run(facts: { readonly until: number; readonly isDone?: () => boolean }): void {
    const { until, isDone = () => false } = facts;
    for (let steps = 0; !isDone(); steps++) {
      if (steps === MOST_STEPS) throw new Error(`no rest after ${steps} steps at ${this.now} ms`);
      const arrival = this.inFlight[0]?.at ?? Number.POSITIVE_INFINITY;
      const deadline = this.#nearestDeadline() ?? Number.POSITIVE_INFINITY;
      const next = Math.min(arrival, deadline);
      if (next > until) break;
      this.now = Math.max(this.now, next);
      if (arrival <= deadline) this.arrive(this.take());
      else this.#fireDue();
    }
    if (!isDone()) this.now = Math.max(this.now, until);
  }

  #fireDue(): void {
    for (const machine of this.#machines.values()) {
      const { deadline } = machine.endpoint;
      if (deadline !== undefined && deadline.at <= this.now) machine.handle({ kind: "timer" });
    }
  }

  #nearestDeadline(): number | undefined {
    const times = [...this.#machines.values()].flatMap(({ endpoint }) => endpoint.deadline?.at ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }
}

/** A run that takes more is a loop. */
const MOST_STEPS = 100_000;

function keyOf({ address, port }: SocketAddress): string {
  return `${address} ${port}`;
}
