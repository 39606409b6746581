import { equal } from "../../bytes/constant-time.ts";
import { ExchangeType, NotifyType } from "../../iana/ikev2-parameters.ts";
import type { Path } from "../../platform/address.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import { pathChanged, pathRefused } from "../events.ts";
import type { IkeSa } from "../ike-sa.ts";
import { keepAlive } from "../keepalive.ts";
import { checkLiveness, checkOnHint } from "../liveness.ts";
import { detectNat, type Nat, natDetectionHash, natDetectionPayloads } from "../nat-detection.ts";
import { findNotify, notify } from "../payloads.ts";
import { reroute } from "../streams.ts";
import {
  COOKIE2_LENGTH,
  cookieIn,
  decodeAdditionalAddresses,
  encodeAdditionalAddresses,
  encodeNoNatsAllowed,
  wasTranslated,
} from "./notifications.ts";
import { Transports } from "./transports.ts";
import { allWays, bestWay, isSamePath, wordsOf } from "./ways.ts";

// MOBIKE, RFC 4555. Who has called decides on the path, and says so (section 3.5):
//
//   --> HDR, SK { N(UPDATE_SA_ADDRESSES), N(NAT_DETECTION_*) | N(NO_NATS_ALLOWED), N(COOKIE2) }
//   <-- HDR, SK { N(NAT_DETECTION_*), N(COOKIE2) }     or { N(UNACCEPTABLE_ADDRESSES) }, { N(UNEXPECTED_NAT_DETECTED) }
//
// The other side takes the addresses from the IP header, sends IKE there at once, and ESP as soon as the caller has shown that it is
// there (section 3.7):
//
//   <-- HDR, SK { N(COOKIE2) }
//   --> HDR, SK { N(COOKIE2) }
//
// Either side tells of its own addresses (section 3.6), the caller also together with an update:
//
//   <-- HDR, SK { N(ADDITIONAL_IP4_ADDRESS) | N(ADDITIONAL_IP6_ADDRESS) ... | N(NO_ADDITIONAL_ADDRESSES) }
//   --> HDR, SK { }
//
// So each finds the other again when both have moved at once, as long as one of them has an address that the other knows of: a request
// that nobody answers goes along other ways as well (section 3.10), the caller's at any time, those of the other side when it has moved.

/** An exchange that is under way, and what it is about. */
export interface AddressUpdate {
  /** Its answer means nothing once the path has changed again. */
  path: Path | undefined;
  /** COOKIE2. */
  readonly cookie: Uint8Array;
  /** How often it came back with UNEXPECTED_NAT_DETECTED before. */
  readonly tries: number;
}

interface AddressMessage {
  readonly payloads: readonly Payload[];
  /** How it came. */
  readonly path: Path;
  readonly now: number;
}

/** How an IKE SA and what it carries move from one path to another. */
export class Mobility {
  /** Whether both sides do MOBIKE. */
  isAgreed = false;
  readonly #ikeSa: IkeSa;
  /** Beside the one that the path names. */
  #peerAddresses: readonly string[] = [];
  /** Where ESP goes, as long as the peer has not shown that it is where IKE goes. */
  #heldBack: Path | undefined;
  /** Hash of our end as the peer saw it last. */
  #seenAs: Uint8Array | undefined;
  /** Paths that the peer does not accept, since our network changed last. */
  readonly #refused = new Set<string>();
  /** The list of our addresses that the peer knows, or is being told; undefined where it knows none that holds. */
  #told: string | undefined;
  /** A request that is to tell it waits for its turn. */
  #isTellingDue = false;
  /** We were called, and have moved, and the caller does not know yet. */
  #isAdrift = false;
  /** How many other ways requests have gone along. */
  #turn = 0;
  /** Message ID of the newest update that was heeded. */
  #newest = -1;
  #hasNoWay = false;
  /** The path has changed in IKE_AUTH, which does not say so to a peer that has answered already. */
  #isUpdateDue = false;
  /** Where ESP was seen to come from, while we ask whether the peer is there, and since when. */
  #candidate: Path | undefined;
  #seenElsewhereAt = Number.NEGATIVE_INFINITY;

  /** UDP and TCP. */
  readonly transports: Transports;

  constructor(ikeSa: IkeSa) {
    this.#ikeSa = ikeSa;
    this.transports = new Transports(ikeSa);
  }

  /** Where ESP of the child SAs goes. */
  get espPath(): Path {
    return this.#heldBack ?? this.#ikeSa.path;
  }

  /** The IKE SA is made in another one. */
  descendFrom(old: Mobility): void {
    this.isAgreed = old.isAgreed;
    this.#peerAddresses = old.#peerAddresses;
    this.#heldBack = old.#heldBack;
    this.#told = old.#told;
    this.#hasNoWay = old.#hasNoWay;
    this.#isAdrift = old.#isAdrift;
    this.transports.descendFrom(old.transports);
  }

  /** What another IKE SA carries is this one's from now on. */
  takeOver(old: Mobility, now: number): void {
    const ikeSa = this.#ikeSa;
    this.transports.takeOver(old.transports, now);
    // The peer may have moved and said so here already.
    if (this.#newest >= 0) {
      if (this.#heldBack === undefined) this.#release(now);
      return;
    }
    this.#peerAddresses = old.#peerAddresses;
    this.#heldBack = old.#heldBack;
    if (!ikeSa.isCaller) ikeSa.path = old.#ikeSa.path;
    else if (this.#isUpdateDue) this.#requestUpdate(now);
    this.#isUpdateDue = false;
  }

  // ---- IKE_AUTH -------------------------------------------------------------------------------------------

  /** What we say in IKE_AUTH: as the initiator in the first message, as the responder in the last. RFC 4555 sections 3.1 and 3.4. */
  announce(): readonly Payload[] {
    const ikeSa = this.#ikeSa;
    const isAnswer = ikeSa.role === "responder";
    if (!this.#isWanted || (isAnswer && !this.isAgreed)) return [];
    const supported = notify(NotifyType.MOBIKE_SUPPORTED);
    if (isAnswer) return [supported, ...this.#addressList()];
    const list = this.#addressList();
    return [supported, ...(this.#told === "" ? [] : list), ...this.#forbidNats()];
  }

  /** Takes what the peer says in IKE_AUTH. */
  heed({ payloads, now }: Omit<AddressMessage, "path">): void {
    const ikeSa = this.#ikeSa;
    this.isAgreed = this.#isWanted && findNotify(payloads, NotifyType.MOBIKE_SUPPORTED) !== undefined;
    if (!this.isAgreed) return;
    this.#peerAddresses = this.#listIn(payloads) ?? [];
    if (ikeSa.isCaller && this.#isUpdateDue) this.#requestUpdate(now);
    this.#isUpdateDue = false;
    this.transports.watch(now);
  }

  /** Routes lead another way, and there is nothing yet, or nothing any more, that could be told to the peer. */
  redirect(now: number): void {
    const ikeSa = this.#ikeSa;
    // A connection that leads nowhere any more breaks.
    const { path: base } = ikeSa;
    const way =
      base.stream === undefined ? bestWay(ikeSa, { base, peerAddresses: [] }, () => false) : undefined;
    if (way === undefined || isSamePath(way, base)) return;
    ikeSa.path = way;
    this.#isUpdateDue = true;
    ikeSa.outbox.hurry(now);
  }

  // ---- Our network changes --------------------------------------------------------------------------------

  /** Addresses or routes of this machine are others than before. */
  networkChanged(now: number): void {
    const ikeSa = this.#ikeSa;
    this.#refused.clear();
    if (!ikeSa.isCaller) this.#goOn(now);
    else if (ikeSa.path.stream === undefined) this.#reconsider(now);
    else {
      const isElsewhere = reroute(ikeSa, now);
      if (!isElsewhere) this.#tellOrAsk(now);
      this.transports.networkChanged(isElsewhere, now);
    }
  }

  /** We have opened another TCP connection (RFC 9329 section 6.1). */
  reconnected(path: Path, now: number): void {
    this.#move(path, now);
    this.#requestUpdate(now);
  }

  /** We have called, and choose the path. */
  #reconsider(now: number): void {
    const ikeSa = this.#ikeSa;
    const { path: base } = ikeSa;
    const way = bestWay(ikeSa, { base, peerAddresses: this.#calledAt }, () => false);
    const hadNoWay = this.#hasNoWay;
    this.#hasNoWay = way === undefined;
    if (way === undefined) return;
    if (!isSamePath(way, ikeSa.path)) this.#take(way, now);
    else if (hadNoWay) {
      ikeSa.outbox.hurry(now);
      this.#requestUpdate(now);
    } else this.#tellOrAsk(now);
  }

  /** The path stays as it is, and whether it still works is asked: by what the peer does not know yet, if there is anything. */
  #tellOrAsk(now: number): void {
    if (this.isAgreed && this.#told !== this.#ownAddresses().join()) this.#tell(now);
    else checkOnHint(this.#ikeSa, now);
  }

  /** The peer has called, and chooses. It is told where we can be called, from an address that we still have. */
  #goOn(now: number): void {
    const ikeSa = this.#ikeSa;
    const { network } = ikeSa.machine;
    const { local, remote, stream } = ikeSa.path;
    if (network === undefined) return;
    const source = network.has(local.address) ? local.address : network.sourceTo(remote.address);
    if (source !== undefined && source !== local.address && stream === undefined) {
      this.#move({ local: { address: source, port: local.port }, remote }, now);
      this.#told = undefined;
      this.#isAdrift = this.isAgreed;
    }
    if (this.isAgreed && this.#told !== this.#ownAddresses().join()) this.#tell(now);
  }

  /** RFC 4555 section 3.6. What waits for its turn tells what there is then. */
  #tell(now: number): void {
    if (this.#isTellingDue) return;
    this.#isTellingDue = true;
    const isTaken = this.#ikeSa.outbox.request(
      {
        purpose: { kind: "tell-addresses" },
        exchangeType: ExchangeType.INFORMATIONAL,
        build: ({ mobility }) => {
          this.#isTellingDue = false;
          return [...mobility.#addressList(), ...mobility.#forbidNats()];
        },
      },
      now,
    );
    if (!isTaken) this.#isTellingDue = false;
  }

  /** The peer has our addresses. */
  told(): void {
    this.#isAdrift = false;
  }

  /** RFC 4555 section 3.5. A peer without MOBIKE follows whoever is behind a NAT, as we always say that we are (RFC 7296 section 2.23). */
  #take(way: Path, now: number): void {
    const ikeSa = this.#ikeSa;
    if (!this.isAgreed && !ikeSa.traversesNats) return;
    this.#move(way, now);
    this.#requestUpdate(now);
  }

  /** IKE goes along another path from now on, and ESP as well, unless the peer has yet to show that it is there. */
  #move(path: Path, now: number): void {
    const ikeSa = this.#ikeSa;
    const { espPath } = this;
    const before = ikeSa.path;
    ikeSa.path = path;
    if (path.remote.address === espPath.remote.address) this.#release(now);
    else this.#heldBack = espPath;
    ikeSa.outbox.hurry(now);
    // What is said in those that this one has replaced, or that are to go with them, goes to the same peer.
    for (const other of ikeSa.machine.ikeSasOf(ikeSa.connection?.name)) {
      const isLeftover = other.state.name !== "established" && isSamePath(other.path, before);
      if (other === ikeSa || !(other.heir === ikeSa || isLeftover)) continue;
      other.path = path;
      other.outbox.hurry(now);
    }
    this.repeatOldAnswers();
    this.transports.moved(before, now);
    ikeSa.machine.report(pathChanged(ikeSa, before));
  }

  /**
   * A peer that has not heard our answer to its rekeying does not know this IKE SA, and asks again where we are not any more. It gets the
   * answer unasked.
   */
  repeatOldAnswers(path = this.#ikeSa.path): void {
    const ikeSa = this.#ikeSa;
    if (!this.isAgreed || ikeSa.hasHeard) return;
    for (const old of ikeSa.machine.ikeSasOf(ikeSa.connection?.name)) {
      if (old.state.name === "rekeyed" && old.heir === ikeSa) old.outbox.repeatAnswers(path);
    }
  }

  /** ESP goes where IKE goes. */
  #release(now: number): void {
    const ikeSa = this.#ikeSa;
    const { path, machine } = ikeSa;
    const connection = ikeSa.connection?.name ?? "";
    this.#heldBack = undefined;
    for (const { inboundSpi } of ikeSa.childSas)
      machine.emit({ kind: "move-child-sa", connection, inboundSpi, path });
    ikeSa.prober.moved(now);
    keepAlive(ikeSa, now);
  }

  /** The peer was heard, and is where it came from (RFC 7296 section 2.23). */
  follow(path: Path, now: number): void {
    const ikeSa = this.#ikeSa;
    const before = ikeSa.path;
    ikeSa.path = path;
    if (ikeSa.childSas.length === 0 && ikeSa.state.name !== "established") return;
    this.#release(now);
    // What went through the connection before may be lost, and nobody else sends it again.
    if (path.stream !== before.stream) ikeSa.outbox.hurry(now);
    ikeSa.machine.report(pathChanged(ikeSa, before));
  }

  // ---- UPDATE_SA_ADDRESSES --------------------------------------------------------------------------------

  #requestUpdate(now: number, tries = 0): void {
    const ikeSa = this.#ikeSa;
    if (!this.isAgreed) {
      checkLiveness(ikeSa, { isCommanded: false, now });
      return;
    }
    const cookie = ikeSa.machine.random.bytes(COOKIE2_LENGTH);
    const update: AddressUpdate = { path: undefined, cookie, tries };
    ikeSa.outbox.request(
      {
        purpose: { kind: "update-addresses", update },
        exchangeType: ExchangeType.INFORMATIONAL,
        build: ({ mobility }) => mobility.#buildUpdate(update),
      },
      now,
    );
  }

  #buildUpdate(update: AddressUpdate): readonly Payload[] {
    update.path = this.#ikeSa.path;
    return [
      notify(NotifyType.UPDATE_SA_ADDRESSES),
      ...(this.#told === this.#ownAddresses().join() ? [] : this.#addressList()),
      ...this.#natDetection(),
      ...this.#forbidNats(),
      notify(NotifyType.COOKIE2, update.cookie),
    ];
  }

  /** RFC 4555 section 3.5, the end: what the responder answers to our update. */
  updated(update: AddressUpdate, { payloads, path, now }: AddressMessage): void {
    const ikeSa = this.#ikeSa;
    if (update.path === undefined || !isSamePath(update.path, ikeSa.path)) return;
    if (findNotify(payloads, NotifyType.UNEXPECTED_NAT_DETECTED) !== undefined) {
      // Whoever can change one packet should not keep us from a path for good.
      if (update.tries + 1 < ikeSa.machine.limits.transmissionCount)
        this.#requestUpdate(now, update.tries + 1);
      else ikeSa.machine.report(pathRefused(ikeSa, "UNEXPECTED_NAT_DETECTED"));
      return;
    }
    if (findNotify(payloads, NotifyType.UNACCEPTABLE_ADDRESSES) !== undefined) {
      this.#tryAnother(now);
      return;
    }
    if (!this.#isEchoed(update, payloads, now)) return;
    this.#noteNat(this.#natIn(payloads, path));
    this.#seenAs = seenIn(payloads);
    if (this.#heldBack !== undefined) this.#release(now);
  }

  #natIn(payloads: readonly Payload[], path: Path): Nat | undefined {
    const { initiatorSpi, responderSpi, traversesNats } = this.#ikeSa;
    return traversesNats ? detectNat(payloads, { initiatorSpi, responderSpi, path }) : undefined;
  }

  #noteNat(nat: Nat | undefined): void {
    if (nat === undefined) return;
    this.#ikeSa.isBehindNat = nat.isBehindNat;
    this.#ikeSa.isPeerBehindNat = nat.isPeerBehindNat;
  }

  /** RFC 4555 section 3.7: whoever answers with another cookie is not whom we sent it to. */
  #isEchoed({ cookie }: AddressUpdate, payloads: readonly Payload[], now: number): boolean {
    const echo = cookieIn(payloads);
    if (echo !== undefined && equal(echo.data, cookie)) return true;
    const message = "the peer does not give our cookie back";
    this.#ikeSa.terminate({ reason: "protocol-error", message }, now);
    return false;
  }

  #tryAnother(now: number): void {
    const ikeSa = this.#ikeSa;
    ikeSa.machine.report(pathRefused(ikeSa, "UNACCEPTABLE_ADDRESSES"));
    if (ikeSa.path.stream !== undefined) return;
    this.#refused.add(wordsOf(ikeSa.path));
    const [way] = this.#ways;
    if (way !== undefined) this.#take(way, now);
  }

  // ---- Path testing ---------------------------------------------------------------------------------------

  /** Where a request goes as well that nobody answers (RFC 4555 section 3.10): a few of all ways, others each time. */
  nextAlternatives(): readonly Path[] {
    if (this.#candidate !== undefined) return [this.#candidate];
    if (!this.#mayTestPaths) return [];
    const ways = this.#ways;
    const count = Math.min(ways.length, this.#ikeSa.machine.limits.pathCount);
    const chosen = Array.from({ length: count }, (_, i) => ways[(this.#turn + i) % ways.length]!);
    this.#turn += count;
    return chosen;
  }

  /** Who was called sends elsewhere for as long as its caller cannot find it (RFC 4555 section 3.6). */
  get #mayTestPaths(): boolean {
    const { isCaller, state } = this.#ikeSa;
    return this.isAgreed && state.name === "established" && (isCaller || this.#isAdrift);
  }

  /** All ways by UDP that may work, other than the present one. */
  get #ways(): readonly Path[] {
    const ikeSa = this.#ikeSa;
    const base = this.transports.udp;
    if (base === undefined || (!ikeSa.isCaller && ikeSa.path.stream !== undefined)) return [];
    return allWays(ikeSa, { base, peerAddresses: this.#calledAt }).filter(
      (way) => !this.#refused.has(wordsOf(way)) && !isSamePath(way, ikeSa.path),
    );
  }

  /** The way by UDP that routes lead now; undefined where there is none, or only one that the peer has refused. */
  get bestUdpWay(): Path | undefined {
    const base = this.transports.udp;
    if (base === undefined) return undefined;
    return bestWay(this.#ikeSa, { base, peerAddresses: this.#calledAt }, (way) =>
      this.#refused.has(wordsOf(way)),
    );
  }

  /** Where the peer may be called beside where it is: whom we call, also where we have called it first. */
  get #calledAt(): readonly string[] {
    const { isCaller, sentTo, connection } = this.#ikeSa;
    if (!this.isAgreed) return [];
    const first = isCaller ? (sentTo?.address ?? connection?.remote.address) : undefined;
    const known = this.#peerAddresses.filter((address) => this.#mayBeAt(address));
    return first === undefined ? known : [...known, first];
  }

  /** An answer has come another way: that one works. */
  answeredOn(path: Path, now: number): void {
    const ikeSa = this.#ikeSa;
    if (this.#candidate !== undefined || !ikeSa.isCaller) return;
    if (isSamePath(path, ikeSa.path)) {
      this.transports.settle();
      return;
    }
    if (!this.#mayTestPaths) return;
    const way = this.transports.trialBy(path) ?? this.#ways.find((each) => isSamePath(each, path));
    if (way !== undefined) this.#take(way, now);
  }

  /**
   * ESP of the peer has come from elsewhere, authentic and newer than all before it: a NAT has changed its mind, or somebody has
   * caught a packet. IKE asks there, and everything goes there when the peer answers. RFC 4555 section 3.8 leaves ESP to us.
   */
  seenAt(path: Path, now: number): void {
    const ikeSa = this.#ikeSa;
    const { seenElsewhereMs } = ikeSa.machine.limits;
    if (ikeSa.state.name !== "established" || !this.#mayFollowEsp || isSamePath(path, ikeSa.path)) return;
    if (now < this.#seenElsewhereAt + seenElsewhereMs) return;
    this.#seenElsewhereAt = now;
    this.#candidate = path;
    // The window may be full of what went where the peer is not any more.
    ikeSa.outbox.repeatAlong(path);
    this.#verify(now, path);
  }

  /** Whoever chooses the path himself needs nobody to show him another. */
  get #mayFollowEsp(): boolean {
    const { isCaller, isBehindNat, isPeerBehindNat, traversesNats } = this.#ikeSa;
    if (!traversesNats || !isPeerBehindNat) return false;
    return !isCaller || !(this.isAgreed || isBehindNat);
  }

  /** No answer has come from where ESP was seen. */
  notThere(purpose: { readonly kind: string; readonly update?: AddressUpdate }): void {
    if (purpose.update === undefined) return;
    if (purpose.update.path === this.#candidate) this.#candidate = undefined;
    purpose.update.path = undefined;
  }

  /** RFC 4555 section 3.8: asks on the occasion how the peer sees us. */
  askForMapping(): readonly Payload[] {
    return this.isAgreed && this.#ikeSa.isCaller ? this.#natDetection() : [];
  }

  /** What the peer answers to that: another address or port than before is a NAT that has changed its mind. */
  noteMapping(payloads: readonly Payload[], now: number): void {
    const ikeSa = this.#ikeSa;
    if (!this.isAgreed || !ikeSa.isCaller || ikeSa.state.name !== "established") return;
    const seen = seenIn(payloads);
    if (seen === undefined) return;
    const { initiatorSpi, responderSpi, path } = ikeSa;
    const expected = this.#seenAs ?? natDetectionHash({ initiatorSpi, responderSpi, end: path.local });
    this.#seenAs = seen;
    if (!equal(seen, expected)) this.#requestUpdate(now);
  }

  // ---- The peer's messages --------------------------------------------------------------------------------

  /** What an INFORMATIONAL request says about addresses is done, and answered. */
  answer({
    payloads,
    path,
    messageId,
    now,
  }: AddressMessage & { readonly messageId: number }): readonly Payload[] {
    if (!this.isAgreed) return [];
    const echo = cookieIn(payloads);
    const cookie = echo === undefined ? [] : [notify(NotifyType.COOKIE2, echo.data.slice())];
    const isUpdate = findNotify(payloads, NotifyType.UPDATE_SA_ADDRESSES) !== undefined;
    const list = this.#listIn(payloads);
    const says = isUpdate || list !== undefined;
    // RFC 9329 section 7.1: to TCP a NAT does no harm.
    const isTranslated = path.stream === undefined && wasTranslated(payloads, path);
    if (says && isTranslated) return [notify(NotifyType.UNEXPECTED_NAT_DETECTED), ...cookie];
    const { mobility: heir } = this.#ikeSa.heir;
    // What was on its way while the IKE SA was replaced is older than all that was said in the new one.
    const isNewest = messageId > this.#newest && (heir === this || heir.#newest < 0);
    if (says && isNewest) {
      this.#newest = messageId;
      if (isUpdate && !this.#ikeSa.isCaller) {
        if (!heir.#mayBeAt(path.remote.address))
          return [notify(NotifyType.UNACCEPTABLE_ADDRESSES), ...cookie];
        heir.#followUpdate(path, this.#natIn(payloads, path), now);
      }
      if (list !== undefined) heir.#takeList(list, { path, now });
    }
    const asksForMapping = seenIn(payloads) !== undefined && this.#ikeSa.traversesNats;
    return [...(asksForMapping ? natDetectionPayloads(this.#ikeSa, path) : []), ...cookie];
  }

  /** An address that it has from us, inside, is no place to send the tunnel to. */
  #mayBeAt(address: string): boolean {
    return this.#ikeSa.lease?.addresses.includes(address) !== true;
  }

  #followUpdate(path: Path, nat: Nat | undefined, now: number): void {
    this.#noteNat(nat);
    this.#isAdrift = false;
    if (!isSamePath(path, this.#ikeSa.path)) this.#move(path, now);
    if (this.#heldBack !== undefined) this.#verify(now);
  }

  #takeList(list: readonly string[], { path, now }: { readonly path: Path; readonly now: number }): void {
    const ikeSa = this.#ikeSa;
    const all = [...new Set([path.remote.address, ...list])];
    this.#peerAddresses = all.filter((address) => address !== ikeSa.path.remote.address);
    if (!ikeSa.isCaller || ikeSa.path.stream !== undefined) return;
    if (all.includes(ikeSa.path.remote.address)) return;
    // Where we send to is no address of the peer's any more; where it has just come from is one.
    this.#take({ local: path.local, remote: path.remote }, now);
  }

  #listIn(payloads: readonly Payload[]): readonly string[] | undefined {
    return decodeAdditionalAddresses(payloads, this.#ikeSa.machine.limits.peerAddressCount);
  }

  // ---- Return routability ---------------------------------------------------------------------------------

  /** RFC 4555 section 3.7: nobody gets our packets who has not asked for them. `aside`: elsewhere than where IKE goes. */
  #verify(now: number, aside?: Path): void {
    const ikeSa = this.#ikeSa;
    const cookie = ikeSa.machine.random.bytes(COOKIE2_LENGTH);
    const update: AddressUpdate = { path: aside, cookie, tries: 0 };
    ikeSa.outbox.request(
      {
        purpose: { kind: "verify-path", update },
        exchangeType: ExchangeType.INFORMATIONAL,
        build: (sender) => {
          update.path ??= sender.path;
          return sender.mobility.isAgreed ? [notify(NotifyType.COOKIE2, cookie)] : [];
        },
        aside,
      },
      now,
    );
  }

  /** The peer answers from where it was asked, if it has not moved on meanwhile. */
  verified(update: AddressUpdate, { payloads, now }: Omit<AddressMessage, "path">): void {
    const ikeSa = this.#ikeSa;
    if (this.isAgreed && !this.#isEchoed(update, payloads, now)) return;
    const { path } = update;
    if (path === undefined) return;
    const isCurrent = isSamePath(path, ikeSa.path);
    if (isCurrent && this.#heldBack !== undefined) this.#release(now);
    if (path !== this.#candidate) return;
    this.#candidate = undefined;
    if (!isCurrent) this.follow(path, now);
  }

  // ---- What we say ----------------------------------------------------------------------------------------

  /** MOBIKE is for tunnel mode (RFC 4555 section 1.2): in transport mode the addresses are the selectors. */
  get #isWanted(): boolean {
    const { connection, machine } = this.#ikeSa;
    if (connection === undefined || machine.network === undefined || connection.isMobile === false)
      return false;
    return connection.children.every(({ mode }) => mode !== "transport");
  }

  #natDetection(): readonly Payload[] {
    const ikeSa = this.#ikeSa;
    return ikeSa.traversesNats ? natDetectionPayloads(ikeSa, ikeSa.path) : [];
  }

  /** RFC 4555 section 3.9: without NAT traversal a NAT is nothing that we would not notice. */
  #forbidNats(): readonly Payload[] {
    const { traversesNats, path } = this.#ikeSa;
    return traversesNats ? [] : [encodeNoNatsAllowed(path)];
  }

  #addressList(): readonly PayloadOf<"notify">[] {
    const addresses = this.#ownAddresses();
    this.#told = addresses.join();
    return encodeAdditionalAddresses(addresses);
  }

  /** Beside the one that the path names. */
  #ownAddresses(): readonly string[] {
    const { connection, machine, path } = this.#ikeSa;
    if (connection?.local.address !== undefined) return [];
    const all = machine.network?.addresses() ?? [];
    return all.filter((address) => address !== path.local.address).slice(0, machine.limits.peerAddressCount);
  }
}

/** The hash that says how the peer sees us. */
function seenIn(payloads: readonly Payload[]): Uint8Array | undefined {
  return findNotify(payloads, NotifyType.NAT_DETECTION_DESTINATION_IP)?.data.slice();
}
