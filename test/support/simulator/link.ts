import type { Path, SocketAddress } from "../../../src/platform/address.ts";
import { decodeHeader, type Header } from "../../../src/wire/message.ts";
import { type Fate, FaultPlan, type Faults } from "../faults.ts";
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
  /** TCP connections that stand. */
  readonly openStreams = new Set<number>();
  #lastStream = 0;

  #rebindsNow: (from: SimulatedMachine) => boolean = () => false;
  readonly #machines = new Map<string, SimulatedMachine>();
  readonly #outside = new Map<string, SocketAddress>();
  readonly #inside = new Map<string, SocketAddress>();

  /** `further`: addresses that it may have some time. */
  add(machine: SimulatedMachine, further: readonly string[] = []): void {
    for (const address of [machine.address, ...further]) this.#machines.set(address, machine);
  }

  /**
   * Random faults from a seed, from now on: in each direction the n-th datagram has the n-th fate. A NAT that rebinds stands
   * in front of the machine that was added first.
   */
  impair(seed: number, faults: Faults): void {
    const ways = [...new Set(this.#machines.values())].map((machine, direction) => ({
      machine,
      plan: new FaultPlan(seed, direction, faults),
      count: 0,
    }));
    this.fate = ({ from }) => {
      const way = ways.find(({ machine }) => machine === from)!;
      return way.plan.fateOf(way.count++);
    };
    const [behindNat] = ways;
    this.#rebindsNow = (from) => from === behindNat?.machine && behindNat.plan.rebindsBefore(behindNat.count);
  }

  /** From now on a NAT shows what comes from `inside` as `outside`. */
  translate(inside: SocketAddress, outside: SocketAddress): void {
    const before = this.#outside.get(keyOf(inside));
    if (before !== undefined) this.#inside.delete(keyOf(before));
    this.#outside.set(keyOf(inside), outside);
    this.#inside.set(keyOf(outside), inside);
  }

  // ---- TCP ------------------------------------------------------------------------------------------------

  /** Opens a connection; what is sent through it arrives as `fate` says, as long as it stands. */
  openStream(
    from: SimulatedMachine,
    { localAddress, remote }: { readonly localAddress: string | undefined; readonly remote: SocketAddress },
  ): Path | undefined {
    const address = localAddress ?? from.owned?.[0] ?? from.address;
    if (!from.isAt(address)) return undefined;
    const stream = ++this.#lastStream;
    this.openStreams.add(stream);
    return { local: { address, port: FIRST_NAT_PORT + stream }, remote, stream };
  }

  /** A connection breaks. What is on its way is lost, and both ends hear of it. */
  breakStream(stream: number): void {
    if (!this.openStreams.delete(stream)) return;
    for (const machine of new Set(this.#machines.values())) machine.handle({ kind: "stream-closed", stream });
  }

  #transmitByStream(from: SimulatedMachine, octets: Uint8Array, path: Path): void {
    const arriving = { ...this.#translated(path.local, path.remote), stream: path.stream! };
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

  transmit(from: SimulatedMachine, octets: Uint8Array, path: Path): void {
    if (path.stream !== undefined) {
      this.#transmitByStream(from, octets, path);
      return;
    }
    const isAnyAddress = path.local.address === "0.0.0.0" || path.local.address === "::";
    const source = isAnyAddress ? { ...path.local, address: from.owned?.[0] ?? from.address } : path.local;
    if (!from.isAt(source.address)) return;
    if (this.#rebindsNow(from)) {
      const port = (this.#outside.get(keyOf(source))?.port ?? FIRST_NAT_PORT) + 1;
      this.translate(source, { address: source.address, port });
    }
    const arriving = this.#translated(source, path.remote);
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

  /** The receiver's view, behind all NATs. */
  #translated(source: SocketAddress, destination: SocketAddress): Path {
    return {
      local: this.#inside.get(keyOf(destination)) ?? destination,
      remote: this.#outside.get(keyOf(source)) ?? source,
    };
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

  /** Everything arrives, and whatever machines do beside it is done, until nobody has anything to say. */
  async settle(): Promise<void> {
    const machines = [...new Set(this.#machines.values())];
    do {
      this.deliverAll();
      for (const machine of machines) if (machine.pendingLogins > 0) await machine.finishLogins();
    } while (this.inFlight.length > 0 || machines.some(({ pendingLogins }) => pendingLogins > 0));
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
    if (machine?.isAt(datagram.path.local.address) !== true) return;
    const { stream } = datagram.path;
    if (stream !== undefined && !this.openStreams.has(stream)) return;
    machine.handle({ kind: "datagram", octets: datagram.octets, path: datagram.path });
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

const FIRST_NAT_PORT = 20_000;

/** A run that takes more is a loop. */
const MOST_STEPS = 100_000;

function keyOf({ address, port }: SocketAddress): string {
  return `${address} ${port}`;
}
