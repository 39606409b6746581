import {
  TALLY_CLASS_COUNT,
  TALLY_SIZE,
  TALLY_TUN_READ,
  TALLY_TUN_WRITE,
  TALLY_UDP_RECEIVE,
  TALLY_UDP_TRANSMIT,
  WORKER_BASE,
  WORKER_SIZE,
  WORKER_TALLIES_OFFSET,
} from "../../assembly/layout.ts";

/** What one kind of system call moved. */
export interface TallyView {
  /** Calls that moved something. */
  readonly calls: number;
  readonly packets: number;
  readonly octets: number;
  /** Calls by how many packets each moved: 1, 2 to 3, 4 to 7, 8 to 15, 16 to 31, 32 to 63, 64 to 127, 128 and more. */
  readonly batchSizes: readonly number[];
}

export interface TrafficTallies {
  readonly tunRead: TallyView;
  readonly tunWrite: TallyView;
  readonly udpReceive: TallyView;
  readonly udpTransmit: TallyView;
}

const PACKETS = 1;
const OCTETS = 2;
const CLASSES = 3;

/** Counts a kind of system call in the worker's region. Nobody else writes there. */
export class Tally {
  readonly #numbers: Float64Array;
  readonly #first: number;

  constructor(memory: WebAssembly.Memory, worker: number, kind: number) {
    this.#numbers = new Float64Array(memory.buffer);
    this.#first = placeOf(worker, kind);
  }

  /** Notes a call that moved at least one packet. */
  add(packets: number, octets: number): void {
    const numbers = this.#numbers;
    const first = this.#first;
    numbers[first]!++;
    numbers[first + PACKETS]! += packets;
    numbers[first + OCTETS]! += octets;
    numbers[first + CLASSES + Math.min(31 - Math.clz32(packets), TALLY_CLASS_COUNT - 1)]!++;
  }
}

/** What workers have counted so far, all together. */
export function readTallies(memory: WebAssembly.Memory, workers: readonly number[]): TrafficTallies {
  const numbers = new Float64Array(memory.buffer);
  const view = (kind: number): TallyView => {
    const sum = (place: number): number =>
      workers.reduce((total, worker) => total + numbers[placeOf(worker, kind) + place]!, 0);
    return {
      calls: sum(0),
      packets: sum(PACKETS),
      octets: sum(OCTETS),
      batchSizes: Array.from({ length: TALLY_CLASS_COUNT }, (_, i) => sum(CLASSES + i)),
    };
  };
  return {
    tunRead: view(TALLY_TUN_READ),
    tunWrite: view(TALLY_TUN_WRITE),
    udpReceive: view(TALLY_UDP_RECEIVE),
    udpTransmit: view(TALLY_UDP_TRANSMIT),
  };
}

/** Index of a tally's first number. */
function placeOf(worker: number, kind: number): number {
  return (WORKER_BASE + worker * WORKER_SIZE + WORKER_TALLIES_OFFSET + kind * TALLY_SIZE) / 8;
}
