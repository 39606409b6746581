import type { IkeSa } from "./ike-sa.ts";
import type { OutstandingRequest } from "./window.ts";

// How long we wait for an answer: RFC 7296 section 2.4 leaves it to us.

/** Of a probe, in round trips as they were of late. */
const ROUND_TRIPS = 2;

/** How long until the request goes out again, or is given up: exponential back-off with a ceiling and some chance. */
export function waitFor(ikeSa: IkeSa, request: OutstandingRequest, now: number): number {
  const { limits, random } = ikeSa.machine;
  const { transmissions, doubtedAfter, sentAt } = request;
  const step = doubtedAfter === undefined ? transmissions - 1 : transmissions - doubtedAfter;
  const growing = limits.retransmitFirstMs * limits.retransmitFactor ** step;
  const octets = random.bytes(2);
  const chance = ((octets[0]! << 8) | octets[1]!) / 0x1_0000;
  const usual = Math.min(growing, limits.retransmitMaxMs) * (1 + limits.retransmitJitter * chance);
  // A slow answer to a probe would pass for none.
  const slow =
    request.bare === undefined ? 0 : Math.min(ROUND_TRIPS * ikeSa.roundTripMs, limits.probeWaitMaxMs);
  const wait = Math.max(usual, slow);
  const timeoutMs = timeoutOf(ikeSa);
  return timeoutMs === undefined ? wait : Math.min(wait, sentAt + timeoutMs - now);
}

/** Whether the peer has had time enough to answer. */
export function isHopeless(ikeSa: IkeSa, request: OutstandingRequest, now: number): boolean {
  const { transmissionCount, doubtedTransmissionCount, resumptionTransmissionCount } = ikeSa.machine.limits;
  const { purpose, transmissions, doubtedAfter, sentAt } = request;
  if (purpose.kind === "resume") return transmissions >= resumptionTransmissionCount;
  if (doubtedAfter !== undefined && transmissions - doubtedAfter >= doubtedTransmissionCount) return true;
  const timeoutMs = timeoutOf(ikeSa);
  return timeoutMs === undefined ? transmissions >= transmissionCount : now >= sentAt + timeoutMs;
}

/** The time to connect is not what the user means by the time to be silent. */
function timeoutOf({ state, connection }: IkeSa): number | undefined {
  const isConnected = state.name === "established" || state.name === "rekeyed" || state.name === "deleting";
  return isConnected ? connection?.liveness?.timeoutMs : undefined;
}
