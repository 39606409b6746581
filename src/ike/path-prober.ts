import { ExchangeType } from "../iana/ikev2-parameters.ts";
import { familyOf } from "../platform/socket-address.ts";
import { pathFound, probesUnanswered } from "./events.ts";
import type { IkeSa } from "./ike-sa.ts";
import { fraction } from "./lifetimes.ts";
import { trafficOf } from "./liveness.ts";
import type { MessageProtection } from "./message-protection.ts";
import { MtuSearch } from "./mtu-search.ts";

// Which packets the path to the peer carries, without a word from its routers (RFC 8899):
//
//   --> HDR, SK { N(filler) }      one datagram with DF, as long as the packet that is asked about
//   --> HDR, SK { }                where that is not answered: the request without its filler, in its place, beside the other
//   <-- HDR, SK { }                to whichever has come
//
// RFC 7296 section 3.10.1 has unknown status notifications passed over, so any peer answers; and a probe that is too long is no dead peer.

const UDP_HEADER_LENGTH = 8;
const NON_ESP_MARKER_LENGTH = 4;
/**
 * By family outside: the IP header; `floor` is what every path is taken to carry (RFC 791 section 3.1, RFC 8200 section 5); `base` is what
 * nearly every path does (RFC 8899 section 5.1.2).
 */
const FAMILIES = {
  4: { header: 20, floor: 576, base: 1280 },
  6: { header: 40, floor: 1280, base: 1280 },
} as const;

/** Whether the path carries a packet of this size. */
export interface PathProbe {
  readonly search: MtuSearch;
  /** Octets, IP header included. */
  readonly size: number;
}

/** Probes the path of an IKE SA: soon after it is there, again when time has passed, when it has moved, and when it may swallow something. */
export class PathProber {
  /** The largest packet that the path was found to carry, IP header included; undefined while nothing is known. */
  found: number | undefined;
  /** What child SAs are kept to; undefined where the machine that we run on knows the path well enough. */
  limit: number | undefined;
  readonly #ikeSa: IkeSa;
  #isOn = false;
  #search: MtuSearch | undefined;
  /** The largest packet of use, as the machine that we run on has it. */
  #most = Number.POSITIVE_INFINITY;
  #endedAt = Number.NEGATIVE_INFINITY;
  #dueAt = Number.POSITIVE_INFINITY;

  constructor(ikeSa: IkeSa) {
    this.#ikeSa = ikeSa;
  }

  /** The IKE SA is established. */
  begin(now: number): void {
    const { connection, machine } = this.#ikeSa;
    const isWanted = connection !== undefined && connection.pathMtu !== "kernel";
    this.#isOn = isWanted && machine.pathMtu !== undefined;
    this.#soon(now);
  }

  /** The IKE SA takes the place of another, on the same path. */
  takeOver(other: PathProber, now: number): void {
    this.found = other.found;
    this.limit = other.limit;
    this.#most = other.#most;
    this.#endedAt = other.#endedAt;
    if (other.#search === undefined && other.#dueAt > now) this.#wait(other.#dueAt);
  }

  /** What was known of the path is not true any more. The data plane forgets it by itself. */
  moved(now: number): void {
    this.found = undefined;
    this.limit = undefined;
    this.#search = undefined;
    this.#endedAt = Number.NEGATIVE_INFINITY;
    this.#soon(now);
  }

  /** The peer is there, and yet nothing comes back of what child SAs send: maybe that is too long for the path. */
  suspect(now: number): void {
    const isFresh = now < this.#endedAt + this.#ikeSa.machine.limits.probeSuspicionMs;
    if (this.#search === undefined && !isFresh) this.#wait(now);
  }

  /** `isFilled`: the probe was answered before it went without its filler. `isCutShort`: it did so to make room for other requests. */
  answered(
    { search, size }: PathProbe,
    facts: { readonly isFilled: boolean; readonly isCutShort: boolean; readonly now: number },
  ): void {
    const { isFilled, isCutShort, now } = facts;
    if (search !== this.#search) return;
    if (isCutShort) {
      this.#wait(now + this.#ikeSa.machine.limits.probeRetryMs);
      return;
    }
    if (isFilled) search.carried(size);
    else {
      search.lost(size);
      // A router may have told our machine why.
      this.#most = Math.min(this.#most, this.#readMost() ?? this.#most);
      search.limit(this.#most);
    }
    this.#believe(search.believed);
    this.#step(now);
  }

  /** Octets of an IKE datagram that the path carries, as far as is known. */
  get carriedLength(): number {
    return (this.limit ?? Number.POSITIVE_INFINITY) - this.#headerLength;
  }

  #step(now: number): void {
    const { state, predecessor, outbox, machine, path } = this.#ikeSa;
    // TCP finds that out by itself.
    if (state.name !== "established" || path.stream !== undefined) return;
    const { outstanding, queue, isHeld } = outbox.requests;
    // A peer that owes us an answer may be gone; whether it is, is not for a probe to find out.
    if (predecessor !== undefined || outstanding !== undefined || queue.length > 0 || isHeld) {
      this.#wait(now + machine.limits.probeRetryMs);
      return;
    }
    this.#search ??= this.#newSearch(state.protection);
    const search = this.#search;
    const size = search?.next();
    if (search === undefined || size === undefined) {
      this.#end(now);
      return;
    }
    outbox.request(
      {
        purpose: { kind: "path-probe", probe: { search, size }, isCutShort: false },
        exchangeType: ExchangeType.INFORMATIONAL,
        build: () => [],
        fillTo: size - this.#headerLength,
      },
      now,
    );
  }

  /** Undefined where there is nothing to find: no route, or none but a short one, or nothing heard of the peer since the last search. */
  #newSearch({ grain }: MessageProtection): MtuSearch | undefined {
    const heardAt = Math.max(this.#ikeSa.heardAt, trafficOf(this.#ikeSa).receivedAt);
    const most = this.#readMost();
    const { floor, base } = FAMILIES[this.#family];
    if (most === undefined || most <= floor || heardAt <= this.#endedAt) return undefined;
    this.#most = most;
    const first = grain.first + this.#headerLength;
    return new MtuSearch({ floor, base, most, known: this.found, grain: { first, size: grain.size } });
  }

  #end(now: number): void {
    const { machine } = this.#ikeSa;
    if (this.#search?.isVain) {
      this.#giveUp();
      return;
    }
    const found = this.#search?.believed;
    if (found !== undefined && found !== this.found) {
      this.found = found;
      machine.report(pathFound(this.#ikeSa, { pathMtu: found, most: this.#most }));
    }
    this.#search = undefined;
    this.#endedAt = now;
    const { probeIntervalMs, probeJitter } = machine.limits;
    this.#wait(now + probeIntervalMs * (1 - probeJitter * fraction(this.#ikeSa)));
  }

  /** Where the path carries all that is of use, the machine that we run on goes on hearing what routers say. */
  #believe(size: number | undefined): void {
    if (size === undefined) return;
    this.#keepTo(size < this.#most ? size : undefined);
  }

  /** The peer answers what is small and says nothing, and nothing else. So be it, as long as this IKE SA lasts. */
  #giveUp(): void {
    this.#isOn = false;
    this.#search = undefined;
    this.found = undefined;
    this.#keepTo(undefined);
    this.#ikeSa.machine.report(probesUnanswered(this.#ikeSa));
  }

  #keepTo(limit: number | undefined): void {
    if (limit === this.limit) return;
    this.limit = limit;
    const { childSas, machine } = this.#ikeSa;
    for (const { inboundSpi } of childSas) machine.emit({ kind: "fit-child-sa", inboundSpi, pathMtu: limit });
  }

  #soon(now: number): void {
    if (!this.#isOn) return;
    this.#wait(now + this.#ikeSa.machine.limits.probeFirstMs * (0.5 + fraction(this.#ikeSa)));
  }

  #wait(at: number): void {
    if (!this.#isOn) return;
    this.#dueAt = at;
    this.#ikeSa.timers.set("path-mtu", at, (now) => this.#step(now));
  }

  #readMost(): number | undefined {
    return this.#ikeSa.machine.pathMtu?.(this.#ikeSa.path);
  }

  get #family(): 4 | 6 {
    return familyOf(this.#ikeSa.path.remote.address);
  }

  /** Of all that is around an IKE message on this path. */
  get #headerLength(): number {
    const { path, machine } = this.#ikeSa;
    const hasMarker = path.local.port === machine.ports.natTraversal;
    return FAMILIES[this.#family].header + UDP_HEADER_LENGTH + (hasMarker ? NON_ESP_MARKER_LENGTH : 0);
  }
}
