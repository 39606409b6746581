import { ExchangeType } from "../../iana/ikev2-parameters.ts";
import type { Path } from "../../platform/address.ts";
import { tcpTried } from "../events.ts";
import type { IkeSa } from "../ike-sa.ts";
import { floatedPath, initialPath } from "../ports.ts";
import { openStreamTo, recallWay } from "../streams.ts";
import type { OutstandingRequest } from "../window.ts";

// From UDP to TCP and back with an IKE SA that stands, RFC 9329 section 7.1: the same SAs, and UPDATE_SA_ADDRESSES by the new way says so.
// It is for whoever has called, with MOBIKE, and `tcp: auto`.
//
//   UDP is silent:   the request that nobody answers goes through a TCP connection as well
//   TCP is silent:   the same by UDP
//   TCP stands:      UDP is asked about now and then, and when our network has changed
//
// Where the answer comes from is where everything goes.

/** What an IKE SA knows of the way that it does not go. */
export class Transports {
  readonly #ikeSa: IkeSa;
  /** A connection that nobody has answered by yet. */
  #trial: Path | undefined;
  /** The last way by UDP, for its ports. */
  #udp: Path | undefined;
  #udpTriedAt = Number.NEGATIVE_INFINITY;
  /** How often UDP has fallen silent in this network. */
  #falls = 0;

  constructor(ikeSa: IkeSa) {
    this.#ikeSa = ikeSa;
  }

  /** The IKE SA is made in another one. */
  descendFrom(old: Transports): void {
    this.#udp = old.#udp;
    this.#falls = old.#falls;
    this.#udpTriedAt = old.#udpTriedAt;
  }

  /** What another IKE SA carries is this one's from now on. */
  takeOver(old: Transports, now: number): void {
    this.descendFrom(old);
    this.watch(now);
  }

  /** The connection that is being tried. */
  get trial(): number | undefined {
    return this.#trial?.stream;
  }

  /** By UDP, with the ports that hold there: what ways are made of. Undefined where the peer is to be called by TCP alone. */
  get udp(): Path | undefined {
    const { path, connection, machine, traversesNats } = this.#ikeSa;
    if (path.stream === undefined) return path;
    if (!this.#isFree || !traversesNats || connection === undefined) return undefined;
    const { address } = path.remote;
    const first = { ...connection, remote: { ...connection.remote, address } };
    const { local, remote } = this.#udp ?? floatedPath(initialPath(first, machine.ports), machine.ports);
    return { local, remote: { address, port: remote.port } };
  }

  // ---- To TCP ---------------------------------------------------------------------------------------------

  /** A request by UDP has not been answered yet. Returns the connection that it is to go through as well, once. */
  detourFor(request: OutstandingRequest): Path | undefined {
    const { machine, path, connection } = this.#ikeSa;
    if (path.stream !== undefined || request.transmissions < machine.limits.tcpAfterTransmissions)
      return undefined;
    if (this.#trial === undefined && this.#isFree && connection !== undefined) {
      const { address } = path.remote;
      this.#trial = openStreamTo(machine, { ...connection, remote: { ...connection.remote, address } });
      if (this.#trial !== undefined) machine.report(tcpTried(this.#ikeSa, this.#trial.remote));
    }
    const stream = this.#trial?.stream;
    // TCP repeats it by itself.
    if (stream === undefined || request.triedBy === stream) return undefined;
    request.triedBy = stream;
    return this.#trial;
  }

  /** The connection in question, where a message has come by it. */
  trialBy({ stream }: Path): Path | undefined {
    return stream === undefined || stream !== this.#trial?.stream ? undefined : this.#trial;
  }

  /** The peer has answered where it is asked anyway: the connection is left. */
  settle(): void {
    this.#trial = undefined;
  }

  closed(stream: number): void {
    if (this.#trial?.stream === stream) this.#trial = undefined;
  }

  // ---- To UDP ---------------------------------------------------------------------------------------------

  /** While everything goes through TCP, UDP is asked about again and again. */
  watch(now: number): void {
    const { path, timers } = this.#ikeSa;
    if (path.stream === undefined || !this.#isOurs) timers.cancel("udp");
    else if (!timers.has("udp")) this.#tryUdpAt(now + this.#pauseMs);
  }

  /** `isElsewhere`: our end of the path is another one. */
  networkChanged(isElsewhere: boolean, now: number): void {
    this.#falls = 0;
    if (isElsewhere) this.#udpTriedAt = Number.NEGATIVE_INFINITY;
    this.tryUdpSoon(now);
  }

  /** TCP may have come to an end, or UDP to a beginning. */
  tryUdpSoon(now: number): void {
    const { path, machine } = this.#ikeSa;
    if (path.stream === undefined || !this.#isOurs) return;
    const due = this.#udpTriedAt + machine.limits.hintIntervalMs;
    if (due > now) this.#tryUdpAt(due);
    else this.#tryUdp(now);
  }

  #tryUdpAt(at: number): void {
    this.#ikeSa.timers.set("udp", at, (now) => this.#tryUdp(now));
  }

  /** A request goes out by UDP first. Where nobody answers it, it comes through TCP a moment later. */
  #tryUdp(now: number): void {
    const { path, state, mobility, outbox } = this.#ikeSa;
    if (path.stream === undefined || state.name !== "established") return;
    this.#tryUdpAt(now + this.#pauseMs);
    if (!this.#isFree) return;
    const way = mobility.bestUdpWay;
    if (way === undefined) return;
    this.#udpTriedAt = now;
    outbox.request(
      {
        purpose: { kind: "liveness", isCommanded: false },
        exchangeType: ExchangeType.INFORMATIONAL,
        build: () => [],
        aside: way,
      },
      now,
    );
  }

  /** Where UDP comes and goes, it is believed later each time. */
  get #pauseMs(): number {
    const { udpRetryMs, udpRetryMaxMs } = this.#ikeSa.machine.limits;
    return Math.min(udpRetryMs * 2 ** Math.max(0, this.#falls - 1), udpRetryMaxMs);
  }

  // ---- Both -----------------------------------------------------------------------------------------------

  /** Everything goes another way than before. */
  moved(before: Path, now: number): void {
    const { path, connection, machine, timers } = this.#ikeSa;
    this.#trial = undefined;
    if (path.stream === undefined) {
      this.#udp = undefined;
      timers.cancel("stream");
      this.#ikeSa.streamLostAt = undefined;
      this.#ikeSa.streamTries = 0;
    }
    const isOtherWay = (path.stream === undefined) !== (before.stream === undefined);
    if (isOtherWay && this.#isOurs && connection !== undefined) recallWay(machine, { connection, path }, now);
    if (isOtherWay && path.stream !== undefined) {
      this.#udp = before;
      this.#falls++;
    }
    this.watch(now);
  }

  /** Whether it is up to us which of the two it is. */
  get #isOurs(): boolean {
    const { connection, isCaller, mobility } = this.#ikeSa;
    return isCaller && mobility.isAgreed && connection?.tcp?.mode === "auto";
  }

  /** While it is not decided whether an IKE SA takes over from another, that one speaks for both. */
  get #isFree(): boolean {
    const { state, predecessor } = this.#ikeSa;
    return this.#isOurs && state.name === "established" && predecessor === undefined;
  }
}
