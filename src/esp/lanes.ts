// How data workers share the packet path. A child SA belongs to a lane: the worker that seals for it, and the one that opens for it.
//
//   workers     1     2     3           4
//   lanes       1 1   1 2   1 2   1 3   1 2   3 4      (seals, opens)
//
// The first split is by direction, because then each SA has one worker that writes to it: no line of memory is written by two on the packet
// path, the replay window needs no lock, and a single tunnel gains as well. Beyond two, child SAs are shared out among lanes; opening,
// which takes a little more time than sealing, has the odd worker.
//
// Several workers that seal with one SA would each take numbers of their own safely enough (the exchange in sad.ts sees to that), but
// not send them in order: bursts that overtake one another leave the window of a peer that looks back as little as 32 packets, as
// strongSwan does. So a packet goes to the SA's worker (handover.ts), whoever has read it.

/** Two workers, which may be one. */
export interface Lane {
  readonly sender: number;
  readonly receiver: number;
}

/** What a data worker does. */
export interface WorkerRole {
  /** 1 and up: its region of the memory. */
  readonly worker: number;
  readonly sends: boolean;
  readonly receives: boolean;
  /** The first lane that it serves: its queue of the TUN device, and its sockets. */
  readonly lane: number;
  /** The worker that does the same on the other lane. */
  readonly companion: number | undefined;
}

export const WORKER_LIMIT = 4;

/** The lanes of 1 to WORKER_LIMIT data workers. Throws RangeError for another number. */
export function lanesOf(workers: number): readonly Lane[] {
  const lanes = LANES[workers - 1];
  if (lanes === undefined) throw new RangeError(`${workers} data workers, 1 to ${WORKER_LIMIT} can be`);
  return lanes;
}

const LANES: readonly (readonly Lane[])[] = [
  [{ sender: 1, receiver: 1 }],
  [{ sender: 1, receiver: 2 }],
  [
    { sender: 1, receiver: 2 },
    { sender: 1, receiver: 3 },
  ],
  [
    { sender: 1, receiver: 2 },
    { sender: 3, receiver: 4 },
  ],
];

/** What each of them does, by number. */
export function rolesOf(workers: number): readonly WorkerRole[] {
  const lanes = lanesOf(workers);
  return Array.from({ length: workers }, (_, i) => {
    const worker = i + 1;
    const sends = lanes.some(({ sender }) => sender === worker);
    const receives = lanes.some(({ receiver }) => receiver === worker);
    const alike = lanes.map(({ sender, receiver }) => (sends ? sender : receiver));
    return {
      worker,
      sends,
      receives,
      lane: lanes.findIndex(({ sender, receiver }) => sender === worker || receiver === worker),
      companion: alike.find((other) => other !== worker),
    };
  });
}
