// How data workers share the packet path. A child SA belongs to a lane: the worker that seals for it, and the one that opens for it.
//
//   workers     1     2
//   lanes       1 1   1 2      (seals, opens)
//
// The split is by direction, because then each SA has one worker that writes to it: no line of memory is written by two on the packet path,
// the replay window needs no lock, and a single tunnel gains as well. Several workers that seal with one SA would each take numbers of
// their own safely enough (the exchange in sad.ts sees to that), but not send them in order: bursts that overtake one another leave the
// window of a peer that looks back as little as 32 packets, as strongSwan does.

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
}

export const WORKER_LIMIT = 2;

/** The lanes of 1 to WORKER_LIMIT data workers. Throws RangeError for another number. */
export function lanesOf(workers: number): readonly Lane[] {
  if (!Number.isInteger(workers) || workers < 1 || workers > WORKER_LIMIT)
    throw new RangeError(`${workers} data workers, 1 to ${WORKER_LIMIT} can be`);
  return [{ sender: 1, receiver: workers }];
}

/** What each of them does, by number. */
export function rolesOf(workers: number): readonly WorkerRole[] {
  const lanes = lanesOf(workers);
  return Array.from({ length: workers }, (_, i) => ({
    worker: i + 1,
    sends: lanes.some(({ sender }) => sender === i + 1),
    receives: lanes.some(({ receiver }) => receiver === i + 1),
  }));
}
