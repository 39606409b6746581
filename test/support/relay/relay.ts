import { MEMORY_SIZE } from "../../../assembly/layout.ts";
import type { SocketAddress } from "../../../src/platform/address.ts";
import { withNamespaceOf } from "../../../src/platform/namespaces.ts";
import { LinuxPoller } from "../../../src/platform/poller/linux-poller.ts";
import { encodePacketInfo, encodeSocketAddress } from "../../../src/platform/socket-address.ts";
import { createLinuxSystemCalls } from "../../../src/platform/system-calls/linux-system-calls.ts";
import type { SystemCalls } from "../../../src/platform/system-calls/system-calls.ts";
import { LinuxUdpSocket } from "../../../src/platform/udp/linux-udp-socket.ts";
import { openUdpSocket } from "../../../src/platform/udp/open-udp-socket.ts";
import { FaultPlan, type Faults } from "../faults.ts";
import { udpDrops } from "../udp-drops.ts";
import { emptyCounts, type RelayCounts } from "./counts.ts";
import { DelayLine } from "./delay-line.ts";

// A relay stands between two hosts and is, to each of them, the other one:
//
//   left   A:p  ------  B:p  leg 0  | relay |  leg 1  A:p  ------  B:p   right
//
// Each leg is a network of its own, so that both may use the same addresses. What arrives on one leg leaves on the other, from
// the address and port that the sender has there. After a rebinding that is another port: a NAT stands in front of the left host.

export interface Line {
  /** Address and port of the left host, which the relay has on the right leg. */
  readonly left: SocketAddress;
  /** Likewise of the right host. */
  readonly right: SocketAddress;
}

const WAY_COUNT = 2;
const FIRST_NAT_PORT = 20_000;
const IDLE_MS = 1000;
const BURST_COUNT = 64;
const SOCKETS_OF_A_WORKER = 6;
/** 64 octets for the peer's socket address, 64 for the control message. */
const PATH_SIZE = 128;
const PEER_SIZE = 64;

/** One direction of a line. */
interface Lane {
  readonly way: number;
  readonly line: Line;
  /** The leg's socket that receives, and that of the other leg which sends. */
  incoming: LinuxUdpSocket;
  outgoing: LinuxUdpSocket;
  /** Where the peer's socket address and the control message lie. */
  readonly path: number;
  peerLength: number;
  controlLength: number;
  /** Datagrams in the next transmit. */
  queued: number;
}

/** Carries datagrams between two legs, with faults. Single-threaded: `round` is called again and again. */
export class Relay {
  readonly #counts: RelayCounts = [emptyCounts(), emptyCounts()];
  readonly #systemCalls: SystemCalls;
  readonly #lanes: Lane[] = [];
  readonly #delayLine: DelayLine;
  readonly #rightLeg: number;
  readonly #extraDescriptors: readonly number[];
  #plans: readonly [FaultPlan, FaultPlan] = [new FaultPlan(0, 0, {}), new FaultPlan(0, 1, {})];
  /** Packets of each direction since the faults were set. */
  readonly #indices = [0, 0];
  #poller: LinuxPoller;
  #natPort = FIRST_NAT_PORT;
  readonly #message = {
    address: 0,
    length: 0,
    segmentLength: 0,
    peer: 0,
    peerLength: 0,
    control: 0,
    controlLength: 0,
    trafficClass: 0,
    mayFragment: true,
  };

  /**
   * `rightLeg`: the process whose network is the right leg; the left one is ours. `descriptors`: what else ends a wait.
   */
  constructor(facts: {
    readonly lines: readonly Line[];
    readonly rightLeg: number;
    readonly descriptors?: readonly number[];
  }) {
    const pathsBase = MEMORY_SIZE;
    const poolBase = pathsBase + facts.lines.length * WAY_COUNT * PATH_SIZE;
    const memory = { buffer: new SharedArrayBuffer(poolBase + DelayLine.SIZE) };
    this.#systemCalls = createLinuxSystemCalls(memory);
    this.#delayLine = new DelayLine(memory, poolBase);
    this.#rightLeg = facts.rightLeg;
    this.#extraDescriptors = facts.descriptors ?? [];
    for (const [i, line] of facts.lines.entries()) {
      const left = this.#open(0, 2 * i, line.right);
      const right = this.#open(1, 2 * i + 1, line.left);
      for (const way of [0, 1]) {
        const lane: Lane = {
          way,
          line,
          incoming: way === 0 ? left : right,
          outgoing: way === 0 ? right : left,
          path: pathsBase + (2 * i + way) * PATH_SIZE,
          peerLength: 0,
          controlLength: 0,
          queued: 0,
        };
        this.#aim(lane, way === 0 ? line.right : line.left, way === 0 ? line.left : line.right);
        this.#lanes.push(lane);
      }
    }
    this.#poller = this.#createPoller();
  }

  /** What became of all datagrams so far, those among them that a socket's queue had no room for. */
  counts(): RelayCounts {
    const ports = new Set(this.#lanes.map(({ line }) => line.left.port));
    const dropped = (leg: number | "self"): number =>
      [...ports].reduce((sum, port) => sum + udpDrops(leg, port), 0);
    const [there, back] = this.#counts;
    return [
      { ...there, overflowed: there.overflowed + dropped("self") },
      { ...back, overflowed: back.overflowed + dropped(this.#rightLeg) },
    ];
  }

  /** From now on these faults; packets are counted from 0 again. What is on its way arrives as it would have. */
  impair(seed: number, faults: { readonly there: Faults; readonly back: Faults }): void {
    this.#plans = [new FaultPlan(seed, 0, faults.there), new FaultPlan(seed, 1, faults.back)];
    this.#indices.fill(0);
  }

  /** Waits until something arrives or is due, and carries it. */
  round(): void {
    const due = this.#delayLine.dueAt;
    const wait = due === undefined ? IDLE_MS : due - performance.now();
    if (wait > 0) this.#poller.wait(wait);
    for (const lane of this.#lanes) this.#carry(lane);
    this.#release();
  }

  /** The NAT forgets: what comes from the left host has another port from now on, and what the right one sends to the old port is lost. */
  rebind(): void {
    this.#natPort++;
    for (const [i, lane] of this.#lanes.entries()) {
      if (lane.way !== 0) continue;
      const { address } = lane.line.left;
      const port = this.#natPort++;
      const back = this.#lanes[i + 1]!;
      lane.outgoing.close();
      lane.outgoing = this.#open(1, i + 1, { address, port });
      back.incoming = lane.outgoing;
    }
    this.#poller = this.#createPoller();
    this.#counts[0].rebindings++;
  }

  /** What waits for its time is forgotten. */
  close(): void {
    for (const lane of this.#lanes) lane.incoming.close();
  }

  #open(leg: number, index: number, address: SocketAddress): LinuxUdpSocket {
    const open = () => openUdpSocket(this.#systemCalls, { ...address, offloads: "auto" });
    const opened = leg === 0 ? open() : withNamespaceOf(this.#systemCalls, this.#rightLeg, open);
    return new LinuxUdpSocket(this.#systemCalls, {
      ...opened,
      worker: Math.floor(index / SOCKETS_OF_A_WORKER),
      index: index % SOCKETS_OF_A_WORKER,
    });
  }

  #aim(lane: Lane, peer: SocketAddress, from: SocketAddress): void {
    const octets = new Uint8Array(this.#systemCalls.memory.buffer);
    const encoded = encodeSocketAddress(peer);
    const control = encodePacketInfo(from.address);
    octets.set(encoded, lane.path);
    octets.set(control, lane.path + PEER_SIZE);
    lane.peerLength = encoded.length;
    lane.controlLength = control.length;
  }

  #createPoller(): LinuxPoller {
    const descriptors = this.#lanes.map(({ incoming }) => incoming.descriptor);
    return new LinuxPoller(this.#systemCalls, {
      worker: 0,
      descriptors: [...descriptors, ...this.#extraDescriptors],
      wakeUp: undefined,
    });
  }

  #carry(lane: Lane): void {
    const { way } = lane;
    const count = lane.incoming.receive(BURST_COUNT);
    for (let i = 0; i < count; i++) {
      const at = lane.incoming.receivedAt(i);
      const length = lane.incoming.receivedLength(i);
      const segment = lane.incoming.receivedSegmentLength(i);
      const segmentLength = segment === 0 ? length : segment;
      const datagrams = Math.max(1, Math.ceil(length / segmentLength));
      this.#counts[way]!.received += datagrams;
      if (this.#plans[way]!.isQuiet && this.#delayLine.isEmpty) {
        this.#indices[way]! += datagrams;
        this.#send(lane, at, length, segmentLength);
        continue;
      }
      for (let from = 0; from < length; from += segmentLength) {
        this.#decide(lane, at + from, Math.min(segmentLength, length - from));
      }
    }
    this.#flush(lane);
  }

  /** One datagram meets its fate. */
  #decide(lane: Lane, address: number, length: number): void {
    const { way } = lane;
    const counts = this.#counts[way]!;
    const plan = this.#plans[way]!;
    const index = this.#indices[way]!++;
    if (way === 0 && plan.rebindsBefore(index)) {
      this.#flush(lane);
      this.rebind();
    }
    const fate = plan.fateOf(index);
    if (fate.length === 0) counts.lost++;
    counts.duplicated += Math.max(0, fate.length - 1);
    for (const delay of fate) {
      if (delay === 0) {
        this.#send(lane, address, length, length);
      } else if (
        this.#delayLine.put({
          dueAt: performance.now() + delay,
          lane: this.#lanes.indexOf(lane),
          address,
          length,
        })
      ) {
        counts.waiting++;
      } else {
        counts.overflowed++;
      }
    }
  }

  /** What has waited long enough. */
  #release(): void {
    const now = performance.now();
    for (let item = this.#delayLine.take(now); item !== undefined; item = this.#delayLine.take(now)) {
      const lane = this.#lanes[item.lane]!;
      this.#counts[lane.way]!.waiting--;
      this.#send(lane, item.address, item.length, item.length);
    }
    for (const lane of this.#lanes) this.#flush(lane);
    this.#delayLine.recycle();
  }

  #send(lane: Lane, address: number, length: number, segmentLength: number): void {
    const message = this.#message;
    message.address = address;
    message.length = length;
    message.segmentLength = segmentLength;
    message.peer = lane.path;
    message.peerLength = lane.peerLength;
    message.control = lane.path + PEER_SIZE;
    message.controlLength = lane.controlLength;
    if (!lane.outgoing.queue(message)) {
      this.#flush(lane);
      lane.outgoing.queue(message);
    }
    lane.queued += Math.max(1, Math.ceil(length / segmentLength));
  }

  #flush(lane: Lane): void {
    if (lane.queued === 0) return;
    const counts = this.#counts[lane.way]!;
    const taken = lane.outgoing.transmit();
    counts.delivered += taken;
    counts.overflowed += lane.queued - taken;
    lane.queued = 0;
  }
}
