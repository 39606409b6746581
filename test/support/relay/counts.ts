/**
 * What became of the datagrams of one direction. `lost + delivered + waiting` is `received + duplicated`, unless the relay
 * itself had no room.
 */
export interface WayCounts {
  received: number;
  /** By a fault. */
  lost: number;
  /** Further copies. */
  duplicated: number;
  delivered: number;
  /** Found no room in the relay or in its sockets' queues, before or after it was counted as received: never meant to happen. */
  overflowed: number;
  /** On their way at this moment. */
  waiting: number;
  rebindings: number;
}

export type RelayCounts = readonly [there: WayCounts, back: WayCounts];

export function emptyCounts(): WayCounts {
  return { received: 0, lost: 0, duplicated: 0, delivered: 0, overflowed: 0, waiting: 0, rebindings: 0 };
}
