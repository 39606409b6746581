import type { KeyObject } from "node:crypto";
import { equal } from "../../bytes/constant-time.ts";
import { KeyExchangeMethod, nameOf } from "../../iana/ikev2-parameters.ts";
import { ECP_GROUPS } from "./ecp.ts";
import { ML_KEM_GROUPS } from "./ml-kem.ts";
import { MODP_GROUPS } from "./modp.ts";
import { MONTGOMERY_GROUPS } from "./montgomery.ts";

/** What a group keeps to itself between generating and agreeing. Both kinds can be posted to a worker. */
export type GroupSecret = Uint8Array | KeyObject;

interface KeyPair {
  /** Key Exchange Data as it goes on the wire. */
  readonly publicValue: Uint8Array;
  readonly secret: GroupSecret;
}

export interface KeyExchangeAnswer {
  /** Key Exchange Data as it goes on the wire. */
  readonly publicValue: Uint8Array;
  readonly sharedSecret: Uint8Array;
}

/** One key exchange method, whoever computes it. Octets come and go in the encodings of RFC 7296 section 3.4, RFC 5903 and RFC 8031. */
export interface Group {
  readonly id: number;
  /** Length of Key Exchange Data: of the initiator's, and of the responder's where `answerLength` does not say otherwise. */
  readonly publicValueLength: number;
  readonly answerLength?: number;
  readonly sharedSecretLength: number;
  /** Whether a job is so quick that sending it to another thread would be most of its cost. */
  readonly isQuick: boolean;
  generate(): KeyPair;
  /** Throws when whoever computes it refuses the value, which `checkAnswer` has not. */
  agree(secret: GroupSecret, peerPublicValue: Uint8Array): Uint8Array;
  /** What the responder does in one step, where it has no key pair of its own. Throws for an initiator's value that is no good. */
  respond?(peerPublicValue: Uint8Array): KeyExchangeAnswer;
  /** Why a public value of the right length is unacceptable, where that is seen without the private key. */
  checkRange?(peerPublicValue: Uint8Array): string | undefined;
}

const GROUPS: readonly Group[] = [...MODP_GROUPS, ...ECP_GROUPS, ...MONTGOMERY_GROUPS, ...ML_KEM_GROUPS];

export function findGroup(id: number): Group | undefined {
  return GROUPS.find((group) => group.id === id);
}

/** Why an initiator's public value must be refused (RFC 6989 section 2), as far as this is cheap; undefined when nothing is wrong. */
export function checkPublicValue(group: Group, peerPublicValue: Uint8Array): string | undefined {
  return checkValue(group, peerPublicValue, group.publicValueLength);
}

/** The same for a responder's. */
export function checkAnswer(group: Group, peerPublicValue: Uint8Array): string | undefined {
  return checkValue(group, peerPublicValue, group.answerLength ?? group.publicValueLength);
}

function checkValue(group: Group, peerPublicValue: Uint8Array, length: number): string | undefined {
  if (peerPublicValue.length !== length)
    return `the public value has ${peerPublicValue.length} octets instead of ${length}`;
  return group.checkRange?.(peerPublicValue);
}

/** The responder's whole part: its public value and the shared secret. Throws RangeError with the reason when the value must be refused. */
export function respond(group: Group, peerPublicValue: Uint8Array): KeyExchangeAnswer {
  if (group.respond === undefined) {
    const { publicValue, secret } = group.generate();
    return { publicValue, sharedSecret: agree(group, secret, peerPublicValue) };
  }
  const refusal = checkPublicValue(group, peerPublicValue);
  if (refusal !== undefined) throw new RangeError(refusal);
  const answer = attemptAnswer(group.respond.bind(group), peerPublicValue);
  refuseZero(answer.sharedSecret);
  return answer;
}

/** The shared secret, with all checks. Throws RangeError with the reason when the public value must be refused. */
export function agree(group: Group, secret: GroupSecret, peerPublicValue: Uint8Array): Uint8Array {
  const refusal = checkAnswer(group, peerPublicValue);
  if (refusal !== undefined) throw new RangeError(refusal);
  const sharedSecret = attempt(group, secret, peerPublicValue);
  refuseZero(sharedSecret);
  return sharedSecret;
}

/** "MODP_2048", or the number of a group without a name. */
export function groupName(id: number): string {
  return nameOf(KeyExchangeMethod, id);
}

/** RFC 8031 section 2.1: an all-zero result means a point of small order. */
function refuseZero(sharedSecret: Uint8Array): void {
  if (equal(sharedSecret, new Uint8Array(sharedSecret.length)))
    throw new RangeError("the shared secret is zero");
}

function attemptAnswer(
  respond: (peerPublicValue: Uint8Array) => KeyExchangeAnswer,
  peerPublicValue: Uint8Array,
): KeyExchangeAnswer {
  try {
    return respond(peerPublicValue);
  } catch (cause) {
    throw new RangeError("the public value is no key", { cause });
  }
}

function attempt(group: Group, secret: GroupSecret, peerPublicValue: Uint8Array): Uint8Array {
  try {
    return group.agree(secret, peerPublicValue);
  } catch (cause) {
    // With a range check behind it, the value is not to blame.
    if (group.checkRange !== undefined) throw cause;
    throw new RangeError("the public value is not a point of the curve, or one of small order", { cause });
  }
}
