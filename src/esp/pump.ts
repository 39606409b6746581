import {
  CONTROL_BASE,
  CONTROL_WIPE_OFFSET,
  NO_SLOT,
  WORKER_BASE,
  WORKER_CLOCK_OFFSET,
  WORKER_EPOCH_OFFSET,
  WORKER_SIZE,
} from "../../assembly/layout.ts";
import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import type { Tun } from "../platform/tun/tun.ts";
import type { UdpSocket } from "../platform/udp/udp-socket.ts";
import { HandoverReader, HandoverWriter } from "./handover.ts";
import { Inbound, type SeenElsewhere, type StrayEsp } from "./inbound.ts";
import type { Kernel } from "./kernel.ts";
import type { WorkerRole } from "./lanes.ts";
import { MailboxWriter } from "./mailbox.ts";
import { Outbound } from "./outbound.ts";
import type { PumpSocket } from "./pump-socket.ts";
import type { Stopwatch } from "./stopwatch.ts";
import type { TrapCall } from "./trapped-packets.ts";

/** What waits to leave waits for the host, which reads all the time. */
const FLUSH_MS = 1;

/** All devices: see `round`. */
export const EVERYTHING = -1;

/** The host reads a path in less. */
const TOO_LONG_PAUSE_MS = 5;

/**
 * Moves packets between a TUN device and UDP sockets, both ways or one, a round at a time. The same class serves a worker thread, which sleeps
 * in poll() between rounds, and devices in memory, where the host runs the rounds.
 */
export class DataPump {
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #region: number;
  readonly #kernel: Kernel;
  /** Those that this worker receives from. */
  readonly #sockets: readonly PumpSocket<UdpSocket>[];
  /** Those that it sends through and that may keep a rest. */
  readonly #streams: readonly UdpSocket[];
  readonly #clock: Clock;
  readonly #ring: () => void;
  readonly #callCompanion: () => void;
  readonly #handover: { readonly to: HandoverWriter; readonly from: HandoverReader } | undefined;
  readonly #stopwatch: Stopwatch | undefined;
  readonly #onTooLong: (slot: number) => void;
  #toldTooLongAt = Number.NEGATIVE_INFINITY;
  readonly #mailbox: MailboxWriter;
  /** Undefined in a worker that has the other direction only. */
  readonly #outbound: Outbound | undefined;
  readonly #inbound: Inbound | undefined;
  #wipesAsked = 0;
  #mailInRound = 0;
  /** Whether a stream kept something back in the last round. */
  #hasRest = false;

  /**
   * `ring` calls the host to its mailbox; `onRefusal` tells it, in a sentence, what the kernel does not do after all; `onTrap`
   * which policy calls for an SA; `onStray` what ESP is for nobody; `onElsewhere` whose peer sends from elsewhere.
   */
  constructor(facts: {
    readonly memory: WebAssembly.Memory;
    readonly kernel: Kernel;
    readonly role: WorkerRole;
    readonly tun: Tun;
    readonly sockets: readonly PumpSocket<UdpSocket>[];
    readonly clock: Clock;
    readonly random: Random;
    readonly ring: () => void;
    /** Wakes the companion: something was handed over to it. */
    readonly callCompanion: () => void;
    /** Told when rounds begin and end. */
    readonly stopwatch?: Stopwatch;
    readonly onRefusal: (what: string) => void;
    readonly onTrap: (call: TrapCall) => void;
    readonly onStray: (stray: StrayEsp) => void;
    readonly onElsewhere: (seen: SeenElsewhere) => void;
    /** Told the slot of an SA that sent something longer than its path takes, not more often than every few milliseconds. */
    readonly onTooLong: (slot: number) => void;
  }) {
    const { role, memory } = facts;
    const { worker } = role;
    this.#words = new Int32Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#region = WORKER_BASE + worker * WORKER_SIZE;
    this.#kernel = facts.kernel;
    this.#sockets = facts.sockets.filter(({ isForSendingOnly = false }) => !isForSendingOnly);
    this.#streams = role.sends
      ? facts.sockets.filter(({ isStream = false }) => isStream).map(({ socket }) => socket)
      : [];
    this.#clock = facts.clock;
    this.#ring = facts.ring;
    this.#callCompanion = facts.callCompanion;
    this.#handover =
      role.companion === undefined
        ? undefined
        : {
            to: new HandoverWriter(memory, facts.kernel, worker),
            from: new HandoverReader(memory, facts.kernel, role.companion),
          };
    this.#stopwatch = facts.stopwatch;
    this.#onTooLong = facts.onTooLong;
    this.#mailbox = new MailboxWriter(memory, worker);
    this.#outbound = role.sends
      ? new Outbound({
          ...facts,
          worker,
          handover: this.#handover,
          sockets: facts.sockets.map(({ socket }) => socket),
          seed: facts.random.bytes(4).reduce((seed, octet) => (seed << 8) | octet, 0),
        })
      : undefined;
    this.#inbound = role.receives
      ? new Inbound({ ...facts, worker, handover: this.#handover, mailbox: this.#mailbox })
      : undefined;
  }

  /**
   * One burst each way. Returns how many packets and datagrams came in from either side; 0 means there is nothing to do. `ready`: which devices
   * are looked at, bit 0 for the TUN device, then one for each socket that is received from.
   */
  round(ready = EVERYTHING): number {
    this.#stopwatch?.beginRound();
    const handled = this.#round(ready);
    this.#stopwatch?.endRound();
    return handled;
  }

  /** How many of what the last round returned were IKE datagrams, which wait for the host now. */
  get mailInRound(): number {
    return this.#mailInRound;
  }

  #round(ready: number): number {
    const now = this.#clock.now();
    this.#passQuiescentPoint(now);
    const handover = this.#handover;
    if (handover === undefined) return this.#move(now, ready);
    // First, so that what is put in behind the last look calls again.
    handover.from.answer();
    const handled = this.#move(now, ready);
    if (handover.to.shouldCall()) this.#callCompanion();
    return handled;
  }

  #move(now: number, ready: number): number {
    const inbound = this.#inbound;
    const outbound = this.#outbound;
    const mailBefore = inbound === undefined ? 0 : inbound.mailCount;
    let handled = inbound === undefined ? 0 : inbound.releaseHeld() + inbound.takeHandedOver();
    if (outbound !== undefined) {
      handled += outbound.round((ready & 1) !== 0) + outbound.sendDummies(now);
      this.#tellTooLong(outbound, now);
      this.#flushStreams();
    }
    if (inbound === undefined) return handled;
    for (let i = 0; i < this.#sockets.length; i++) {
      if ((ready & (2 << i)) !== 0) handled += inbound.round(this.#sockets[i]!);
    }
    this.#mailInRound = inbound.mailCount - mailBefore;
    if (this.#mailInRound > 0 && this.#mailbox.shouldRing()) this.#ring();
    return handled;
  }

  /** In every round: half a message at a peer holds up all that comes behind it. */
  #flushStreams(): void {
    let hasRest = false;
    for (let i = 0; i < this.#streams.length; i++) {
      if (this.#streams[i]!.flush?.() === true) hasRest = true;
    }
    this.#hasRest = hasRest;
  }

  /** Others that are meanwhile passed over come again with their next packet. */
  #tellTooLong(outbound: Outbound, now: number): void {
    const slot = outbound.takeTooLong();
    if (slot === NO_SLOT || now - this.#toldTooLongAt < TOO_LONG_PAUSE_MS) return;
    this.#toldTooLongAt = now;
    this.#onTooLong(slot);
  }

  /** How long a worker with nothing to read may sleep, in milliseconds: `Infinity` for as long as it likes. */
  get restMs(): number {
    if (this.#hasRest) return FLUSH_MS;
    const dummiesDueAt = this.#outbound?.dummiesDueAt ?? Number.POSITIVE_INFINITY;
    return dummiesDueAt === Number.POSITIVE_INFINITY
      ? dummiesDueAt
      : Math.max(0, dummiesDueAt - this.#clock.now());
  }

  /** Between rounds nothing of the shared memory is held: SAs, policies and paths may be taken away behind this point. */
  #passQuiescentPoint(now: number): void {
    const asked = Atomics.load(this.#words, (CONTROL_BASE + CONTROL_WIPE_OFFSET) >>> 2);
    if (asked !== this.#wipesAsked) {
      this.#wipesAsked = asked;
      this.#kernel.wipeTraces();
    }
    Atomics.add(this.#words, (this.#region + WORKER_EPOCH_OFFSET) >>> 2, 1);
    this.#view.setFloat64(this.#region + WORKER_CLOCK_OFFSET, now, true);
  }
}
