/**
 * The four families of errors. Each has a stable `code` and carries its facts as fields.
 * Wrong use of our own API is a TypeError or RangeError instead.
 */

/** Octets that make no sense. */
export class WireError extends Error {
  readonly code = "WIRE";
  /** What was being read, such as "Notify payload: SPI". */
  readonly field: string;
  /** Where, in octets from the start of what was decoded. */
  readonly offset: number;

  constructor(message: string, facts: { readonly field: string; readonly offset: number }) {
    super(message);
    this.name = "WireError";
    this.field = facts.field;
    this.offset = facts.offset;
  }
}

/** Octets that make sense and break the protocol; carries the notification to answer with. */
export class PeerError extends Error {
  readonly code = "PEER";
  readonly notifyType: number;
  readonly data: Uint8Array;

  constructor(message: string, facts: { readonly notifyType: number; readonly data?: Uint8Array }) {
    super(message);
    this.name = "PeerError";
    this.notifyType = facts.notifyType;
    this.data = facts.data ?? new Uint8Array(0);
  }
}

/** Nothing wrong, we decline: configuration and policy. */
export class PolicyError extends Error {
  readonly code: string;

  constructor(message: string, facts: { readonly code?: string; readonly cause?: unknown } = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = "PolicyError";
    this.code = facts.code ?? "POLICY";
  }
}

/** The machine failed us. */
export class PlatformError extends Error {
  /** Symbolic errno such as "EPERM", or "PLATFORM". */
  readonly code: string;

  constructor(message: string, facts: { readonly code?: string; readonly cause?: unknown } = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = "PlatformError";
    this.code = facts.code ?? "PLATFORM";
  }
}
