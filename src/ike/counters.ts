/** What became of datagrams and attempts. Numbers only grow. */
export interface Counters {
  received: number;
  transmitted: number;
  retransmitted: number;
  /** Repeated requests that were answered again from the window. */
  answeredAgain: number;

  /** Dropped: the octets make no sense. */
  malformed: number;
  /** Dropped: another major version. */
  wrongVersion: number;
  /** Dropped: no IKE SA has these SPIs. */
  unknownSpi: number;
  /** Dropped: the integrity check failed. */
  forged: number;
  /** Dropped: a message ID outside of the window, or an answer that nobody asked for. */
  outsideWindow: number;
  /** Dropped: not a message that the state of the SA allows. */
  unexpected: number;
  /** Dropped: a fragment that does not fit, or beyond the limits. */
  fragmentRefused: number;
  /** Dropped: too many half-open SAs. */
  halfOpenRefused: number;
  /** Dropped: too many logins are being worked on; the request comes again. */
  loginPutOff: number;
  /** Dropped: an error that we would have answered, were there not so many. */
  errorSuppressed: number;
  /** IKE_SA_INIT requests answered with a cookie. */
  cookiesDemanded: number;
  /** Cookies shown that were wrong or too old. */
  cookiesWrong: number;
  /** Something in our own code failed on a datagram; it was dropped. */
  internalErrors: number;
}

/** Counters of what was dropped. */
export const DROP_COUNTERS = [
  "malformed",
  "wrongVersion",
  "unknownSpi",
  "forged",
  "outsideWindow",
  "unexpected",
  "fragmentRefused",
  "halfOpenRefused",
  "loginPutOff",
  "errorSuppressed",
  "internalErrors",
] as const satisfies readonly (keyof Counters)[];

export type DropCounter = (typeof DROP_COUNTERS)[number];

export function newCounters(): Counters {
  return {
    received: 0,
    transmitted: 0,
    retransmitted: 0,
    answeredAgain: 0,
    malformed: 0,
    wrongVersion: 0,
    unknownSpi: 0,
    forged: 0,
    outsideWindow: 0,
    unexpected: 0,
    fragmentRefused: 0,
    halfOpenRefused: 0,
    loginPutOff: 0,
    errorSuppressed: 0,
    cookiesDemanded: 0,
    cookiesWrong: 0,
    internalErrors: 0,
  };
}
