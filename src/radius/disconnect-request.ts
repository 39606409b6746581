import { equal } from "../bytes/constant-time.ts";
import { formatAddress } from "../bytes/ip-address.ts";
import { ErrorCause, RadiusAttribute, RadiusCode } from "../iana/radius.ts";
import { type AccountedSession, sessionAttributes } from "./accounting-record.ts";
import { type Attribute, type RadiusPacket, valuesOf } from "./packet.ts";

/** As whom servers address us. */
export interface NasIdentity {
  /** NAS-Identifier. */
  readonly nasIdentifier: string;
  isOwnAddress(address: string): boolean;
}

export type DisconnectRequest =
  | {
      readonly kind: "end";
      /** Whether the session is one of those that are to end. */
      readonly isMeant: (session: AccountedSession) => boolean;
    }
  /** `cause` is an ErrorCause. */
  | { readonly kind: "refuse"; readonly cause: number };

const A = RadiusAttribute;
/** All that are there have to fit a session (RFC 5176 section 3). */
const SESSION_ATTRIBUTES: readonly number[] = [
  A.USER_NAME,
  A.ACCT_SESSION_ID,
  A.FRAMED_IP_ADDRESS,
  A.FRAMED_IPV6_ADDRESS,
  A.CALLING_STATION_ID,
  A.CLASS,
];
/** What says too little about a session to end it, or something else. */
const FURTHER_ATTRIBUTES: readonly number[] = [
  A.NAS_IP_ADDRESS,
  A.NAS_IPV6_ADDRESS,
  A.NAS_IDENTIFIER,
  A.NAS_PORT_TYPE,
  A.REPLY_MESSAGE,
  A.PROXY_STATE,
  A.ACCT_TERMINATE_CAUSE,
  A.EVENT_TIMESTAMP,
  A.MESSAGE_AUTHENTICATOR,
];

/** What a genuine Disconnect-Request or CoA-Request wants (RFC 5176). */
export function readDisconnectRequest(
  { code, attributes }: RadiusPacket,
  identity: NasIdentity,
): DisconnectRequest {
  const has = (type: number): boolean => attributes.some((attribute) => attribute.type === type);
  if (code === RadiusCode.COA_REQUEST) return refuse(ErrorCause.UNSUPPORTED_EXTENSION);
  if (!has(A.EVENT_TIMESTAMP)) return refuse(ErrorCause.MISSING_ATTRIBUTE);
  if (has(A.SERVICE_TYPE)) return refuse(ErrorCause.UNSUPPORTED_SERVICE);
  const known = [...SESSION_ATTRIBUTES, ...FURTHER_ATTRIBUTES];
  if (!attributes.every(({ type }) => known.includes(type))) {
    return refuse(ErrorCause.UNSUPPORTED_ATTRIBUTE);
  }
  if (!isForUs(attributes, identity)) return refuse(ErrorCause.NAS_IDENTIFICATION_MISMATCH);
  if (!SESSION_ATTRIBUTES.some(has)) return refuse(ErrorCause.MISSING_ATTRIBUTE);
  const wanted = attributes
    .filter(({ type }) => SESSION_ATTRIBUTES.includes(type) || type === A.NAS_PORT_TYPE)
    .map(({ type, value }) => ({ type, value: value.slice() }));
  return { kind: "end", isMeant: (session) => fits(sessionAttributes(session), wanted) };
}

function refuse(cause: number): DisconnectRequest {
  return { kind: "refuse", cause };
}

function isForUs(attributes: readonly Attribute[], { nasIdentifier, isOwnAddress }: NasIdentity): boolean {
  const name = new TextEncoder().encode(nasIdentifier);
  const isOwn = (length: number) => (value: Uint8Array) =>
    value.length === length && isOwnAddress(formatAddress(value));
  return (
    valuesOf(attributes, A.NAS_IDENTIFIER).every((value) => equal(value, name)) &&
    valuesOf(attributes, A.NAS_IP_ADDRESS).every(isOwn(4)) &&
    valuesOf(attributes, A.NAS_IPV6_ADDRESS).every(isOwn(16))
  );
}

function fits(session: readonly Attribute[], wanted: readonly Attribute[]): boolean {
  return wanted.every(({ type, value }) =>
    session.some((attribute) => attribute.type === type && equal(attribute.value, value)),
  );
}
