import type { ChildSaVolume } from "../esp/index.ts";

const LOOK_EVERY_MS = 1_000;
/** No direction of an SA carries more in a second. */
const FASTEST = { octets: 8e9, packets: 5e7 };

/** What one direction carries. */
export interface Volume {
  readonly octets: number;
  readonly packets: number;
}

/** What either direction of a child SA may carry before it is replaced, and before it ends. */
export interface VolumeLimits {
  readonly connection: string;
  readonly soft: Volume;
  readonly hard: Volume;
}

/** An SA that has carried as much as it should, or as it may. */
export interface UsedUp {
  readonly connection: string;
  readonly inboundSpi: number;
  readonly limit: "soft" | "hard";
}

interface Watched extends VolumeLimits {
  /** How many more looks pass by before it can have come to a limit. */
  passes: number;
}

/** Finds the child SAs that are used up. One that is far from its limits is left alone for as long as it takes to get there, so that thousands of idle ones cost nothing. */
export class VolumeWatch {
  readonly #carried: (inboundSpi: number) => ChildSaVolume | undefined;
  readonly #onUsedUp: (usedUp: UsedUp) => void;
  readonly #watched = new Map<number, Watched>();
  #timer: NodeJS.Timeout | undefined;

  /** `onUsedUp` is told of an SA again and again until it is forgotten. */
  constructor(facts: {
    readonly carried: (inboundSpi: number) => ChildSaVolume | undefined;
    readonly onUsedUp: (usedUp: UsedUp) => void;
  }) {
    this.#carried = facts.carried;
    this.#onUsedUp = facts.onUsedUp;
  }

  watch(inboundSpi: number, limits: VolumeLimits): void {
    this.#watched.set(inboundSpi, { ...limits, passes: 0 });
    this.#timer ??= setTimeout(() => this.#look(), LOOK_EVERY_MS);
  }

  forget(inboundSpi: number): void {
    this.#watched.delete(inboundSpi);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#watched.clear();
  }

  #look(): void {
    this.#timer = undefined;
    // Who is told may forget some and watch others.
    const due: [number, Watched][] = [];
    for (const entry of this.#watched) if (entry[1].passes-- <= 0) due.push(entry);
    for (const [inboundSpi, watched] of due) this.#lookAt(inboundSpi, watched);
    if (this.#watched.size > 0) this.#timer ??= setTimeout(() => this.#look(), LOOK_EVERY_MS);
  }

  #lookAt(inboundSpi: number, watched: Watched): void {
    const carried = this.#carried(inboundSpi);
    if (carried === undefined) return;
    const { connection, soft, hard } = watched;
    const seconds = Math.min(secondsTo(soft, carried.inbound), secondsTo(soft, carried.outbound));
    watched.passes = Math.max(0, Math.floor(seconds) - 1);
    if (seconds > 0) return;
    const isOver = [carried.inbound, carried.outbound].some((volume) => secondsTo(hard, volume) <= 0);
    this.#onUsedUp({ connection, inboundSpi, limit: isOver ? "hard" : "soft" });
  }
}

/** How long it takes at least until the limit is reached; not positive when it is. */
function secondsTo(limit: Volume, { octets, packets }: Volume): number {
  return Math.min((limit.octets - octets) / FASTEST.octets, (limit.packets - packets) / FASTEST.packets);
}
