import { createHmac } from "node:crypto";
import { equal } from "../bytes/constant-time.ts";
import { ExchangeType, NotifyType } from "../iana/ikev2-parameters.ts";
import type { Payload } from "../wire/payloads/payload.ts";
import type { IkeSa, Role } from "./ike-sa.ts";
import { encodeIkeSpi, findNotify, notify } from "./payloads.ts";

// Crash detection, RFC 6290. Each side gives the other a token while all is well:
//
//   --> HDR, SK { ..., N(QUICK_CRASH_DETECTION) }          in IKE_AUTH, and in an exchange of its own when the IKE SA was rekeyed
//
// Whoever has lost the IKE SA can still make it, from a secret that outlives it, and shows it to who goes on as if nothing had happened:
//
//   --> HDR, SK { ... }
//   <-- HDR, N(INVALID_IKE_SPI), N(QUICK_CRASH_DETECTION)  without protection

/** The tokens of this machine (RFC 6290 section 5.1). */
export class CrashTokens {
  readonly #secret: Uint8Array;

  /** 32 octets that nobody else knows, the same in each of our lives. */
  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  /** Of the IKE SA with these SPIs, in which we have this role: nobody gets the token of one by asking for another. */
  tokenOf(facts: {
    readonly role: Role;
    readonly initiatorSpi: bigint;
    readonly responderSpi: bigint;
  }): Uint8Array {
    const mac = createHmac("sha256", this.#secret).update(facts.role);
    return mac.update(encodeIkeSpi(facts.initiatorSpi)).update(encodeIkeSpi(facts.responderSpi)).digest();
  }
}

/** What we say in IKE_AUTH. */
export function ownToken(ikeSa: IkeSa): readonly Payload[] {
  const { crashTokens } = ikeSa.machine;
  return crashTokens === undefined
    ? []
    : [notify(NotifyType.QUICK_CRASH_DETECTION, crashTokens.tokenOf(ikeSa))];
}

/**
 * The IKE SA has taken the place of another: the token of that one is worth nothing any more (RFC 6290 section 4.3). Who has made it says
 * so first, and gets the other's token back: only then do both sides know the IKE SA, and nobody shows its token in clear.
 */
export function tellToken(ikeSa: IkeSa, now: number): void {
  if (ikeSa.machine.crashTokens === undefined || ikeSa.role !== "initiator") return;
  ikeSa.outbox.request(
    {
      purpose: { kind: "liveness", isCommanded: false },
      exchangeType: ExchangeType.INFORMATIONAL,
      build: ownToken,
    },
    now,
  );
}

/** What is answered to a token that came by itself. */
export function tokenFor(ikeSa: IkeSa, payloads: readonly Payload[]): readonly Payload[] {
  const isAsked = findNotify(payloads, NotifyType.QUICK_CRASH_DETECTION) !== undefined;
  return isAsked ? ownToken(ikeSa) : [];
}

/** Keeps the peer's token. */
export function takeToken(ikeSa: IkeSa, payloads: readonly Payload[]): void {
  const token = findNotify(payloads, NotifyType.QUICK_CRASH_DETECTION)?.data;
  if (token !== undefined && token.length >= SHORTEST && token.length <= LONGEST)
    ikeSa.crashToken = token.slice();
}

/** Whether a message without protection shows that the peer has lost the IKE SA: it gives its own token back. */
export function showsCrash(ikeSa: IkeSa, payloads: readonly Payload[]): boolean {
  const shown = findNotify(payloads, NotifyType.QUICK_CRASH_DETECTION)?.data;
  return ikeSa.crashToken !== undefined && shown !== undefined && equal(shown, ikeSa.crashToken);
}

/** RFC 6290 section 4.1: octets of a token. */
const SHORTEST = 16;
const LONGEST = 128;
