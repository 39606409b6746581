import { ExchangeType, NotifyType, PayloadType } from "../iana/ikev2-parameters.ts";
import type { Path } from "../platform/address.ts";
import { decodeMessage, encodeMessage, type Header } from "../wire/message.ts";
import type { Payload } from "../wire/payloads/payload.ts";
import type { IkeSa } from "./ike-sa.ts";
import { checkLiveness, checkOnHint } from "./liveness.ts";
import type { Machine } from "./machine.ts";
import { encodeSpi, invalidSpiOf, notify } from "./payloads.ts";

// What belongs to no SA (RFC 7296 section 1.5). A peer that has lost its SAs, or whose packets come to us after we have, is told
// so without protection; what we are told that way is a hint and changes nothing: we ask, and believe the silence.

interface Stray {
  readonly octets: Uint8Array;
  readonly header: Header;
  readonly path: Path;
  readonly now: number;
}

/** Header and Notify payload: our answer is not longer than what it answers. */
const ANSWER_LENGTH = 36;

/** A request under protection for an IKE SA that we do not have: INVALID_IKE_SPI. Never an answer to an answer. */
export function answerStray(machine: Machine, { octets, header, path, now }: Stray): void {
  const { initiatorSpi, responderSpi, nextPayload, exchangeType, isInitiator, isResponse, messageId } =
    header;
  const isProtected = nextPayload === PayloadType.SK || nextPayload === PayloadType.SKF;
  if (isResponse || !isProtected || initiatorSpi === 0n || responderSpi === 0n) return;
  if (octets.length < ANSWER_LENGTH || !machine.mayAnswerStray(now)) return;
  // The peer has answered our rekeying and is ahead of its answer, which may be lost: the SPI is not one that we do not know.
  if (!isInitiator && machine.ikeSas.some(({ attempt }) => attempt?.spi === initiatorSpi)) return;
  const invalid = notify(NotifyType.INVALID_IKE_SPI);
  const answer = encodeMessage({
    initiatorSpi,
    responderSpi,
    exchangeType,
    isInitiator: !isInitiator,
    isResponse: true,
    messageId,
    payloads: [invalid, ...tokenFor(machine, header)],
  });
  machine.counters.transmitted++;
  machine.emit({ kind: "transmit", octets: answer, path });
}

/**
 * The token that shows its holder what we have lost (RFC 6290 section 4.5). Where either SPI is in use, somebody may be after the token
 * of an IKE SA that there is.
 */
function tokenFor(machine: Machine, header: Header): readonly Payload[] {
  const { initiatorSpi, responderSpi, isInitiator } = header;
  if (machine.crashTokens === undefined) return [];
  if (machine.hasIkeSpi(initiatorSpi) || machine.hasIkeSpi(responderSpi)) return [];
  const role = isInitiator ? "responder" : "initiator";
  const token = machine.crashTokens.tokenOf({ role, initiatorSpi, responderSpi });
  return [notify(NotifyType.QUICK_CRASH_DETECTION, token)];
}

/**
 * An unprotected INVALID_SPI: when it comes from where one of our child SAs sends to, and names it, the peer is asked whether it
 * is there. Returns false for whatever else it may be.
 */
export function takeHint(machine: Machine, { octets, header, path, now }: Stray): boolean {
  const isCandidate =
    header.exchangeType === ExchangeType.INFORMATIONAL &&
    !header.isResponse &&
    header.nextPayload === PayloadType.N &&
    octets.length <= LONGEST_HINT;
  if (!isCandidate || !machine.mayTakeHint(now)) return false;
  const spi = invalidSpiOf(decodeMessage(octets.slice()).payloads);
  const ikeSa = machine.ikeSas.find(
    ({ path: { remote }, childSas }) =>
      remote.address === path.remote.address && childSas.some(({ outboundSpi }) => outboundSpi === spi),
  );
  if (spi === undefined || ikeSa === undefined) return false;
  checkOnHint(ikeSa, now);
  return true;
}

/** Header, Notify payload with an SPI field that should not be there, and an SPI. */
const LONGEST_HINT = 44;

/**
 * ESP came for an SPI that is not ours. Who has an IKE SA with us is told under its protection, anybody else without, at zero
 * SPIs and with the Initiator flag, as section 1.5 says.
 */
export function reportStrayEsp(
  machine: Machine,
  { spi, path, now }: { readonly spi: number; readonly path: Path; readonly now: number },
): void {
  const invalid = notify(NotifyType.INVALID_SPI, encodeSpi(spi));
  const ikeSa = machine.ikeSas.find((candidate) => isAt(candidate, path));
  if (ikeSa !== undefined) {
    if (now < ikeSa.strayReportedAt + machine.limits.hintIntervalMs) return;
    ikeSa.strayReportedAt = now;
    checkLiveness(ikeSa, { isCommanded: false, now, payloads: [invalid] });
    return;
  }
  if (!machine.mayAnswerStray(now)) return;
  const octets = encodeMessage({
    initiatorSpi: 0n,
    responderSpi: 0n,
    exchangeType: ExchangeType.INFORMATIONAL,
    isInitiator: true,
    isResponse: false,
    messageId: 0,
    payloads: [invalid],
  });
  machine.counters.transmitted++;
  machine.emit({ kind: "transmit", octets, path });
}

function isAt({ state, path }: IkeSa, { remote }: Path): boolean {
  return (
    state.name === "established" && path.remote.address === remote.address && path.remote.port === remote.port
  );
}
