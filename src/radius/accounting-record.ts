import { parseAddress } from "../bytes/ip-address.ts";
import { AcctStatusType, NasPortType, RadiusAttribute, ServiceType } from "../iana/radius.ts";
import { type Attribute, integerAttribute, LONGEST_VALUE, textAttribute } from "./packet.ts";

/** What an accounting server is told about a client's session (RFC 2866, RFC 2869). */
export interface AccountingRecord {
  readonly status: "start" | "interim" | "stop";
  readonly session: AccountedSession;
  /** How long the session has lasted. */
  readonly seconds: number;
  /** From the client. */
  readonly input: AccountedVolume;
  /** To the client. */
  readonly output: AccountedVolume;
  /** AcctTerminateCause of a stop. */
  readonly cause?: number;
}

export interface AccountedSession {
  /** Acct-Session-Id. No other session has it, of this process or of another. */
  readonly id: string;
  /** Acct-Multi-Session-Id: that of the first of the sessions in which a client has shown again and again who it is, without a break. */
  readonly multiId: string;
  readonly user: string;
  /** Class of the Access-Accept, as it came. */
  readonly class: readonly Uint8Array[];
  /** Within our network. */
  readonly addresses: readonly string[];
  /** Where the client's datagrams come from. */
  readonly remoteAddress: string;
}

interface AccountedVolume {
  readonly packets: number;
  readonly octets: number;
}

const STATUS = {
  start: AcctStatusType.START,
  interim: AcctStatusType.INTERIM_UPDATE,
  stop: AcctStatusType.STOP,
} as const;

const GIGAWORD = 2 ** 32;
/** Class comes back in whole, as long as there is room for the rest of the packet. */
const LONGEST_CLASSES = 3072;

/** Attributes of the Accounting-Request. `delaySeconds`: how long ago that was what it tells; `unixSeconds`: when. */
export function accountingAttributes(
  { status, session, seconds, input, output, cause }: AccountingRecord,
  facts: { readonly nasIdentifier: string; readonly delaySeconds: number; readonly unixSeconds: number },
): readonly Attribute[] {
  return [
    integerAttribute(RadiusAttribute.ACCT_STATUS_TYPE, STATUS[status]),
    ...sessionAttributes(session),
    textAttribute(RadiusAttribute.ACCT_MULTI_SESSION_ID, session.multiId),
    limitedText(RadiusAttribute.NAS_IDENTIFIER, facts.nasIdentifier),
    integerAttribute(RadiusAttribute.SERVICE_TYPE, ServiceType.FRAMED),
    integerAttribute(RadiusAttribute.ACCT_DELAY_TIME, facts.delaySeconds),
    integerAttribute(RadiusAttribute.EVENT_TIMESTAMP, facts.unixSeconds),
    ...(status === "start" ? [] : usage({ seconds, input, output })),
    ...(cause === undefined ? [] : [integerAttribute(RadiusAttribute.ACCT_TERMINATE_CAUSE, cause)]),
  ];
}

/** By what servers know the session. */
export function sessionAttributes(session: AccountedSession): readonly Attribute[] {
  return [
    textAttribute(RadiusAttribute.ACCT_SESSION_ID, session.id),
    limitedText(RadiusAttribute.USER_NAME, session.user),
    textAttribute(RadiusAttribute.CALLING_STATION_ID, session.remoteAddress),
    integerAttribute(RadiusAttribute.NAS_PORT_TYPE, NasPortType.VIRTUAL),
    ...session.addresses.flatMap(framedAddress),
    ...classesOf(session),
  ];
}

/** Octets are told in two attributes of 32 bits each (RFC 2869 sections 5.1 and 5.2); of packets there are the lower 32 bits only. */
function usage({
  seconds,
  input,
  output,
}: Pick<AccountingRecord, "seconds" | "input" | "output">): readonly Attribute[] {
  return [
    integerAttribute(RadiusAttribute.ACCT_SESSION_TIME, Math.floor(seconds)),
    integerAttribute(RadiusAttribute.ACCT_INPUT_OCTETS, input.octets % GIGAWORD),
    integerAttribute(RadiusAttribute.ACCT_INPUT_GIGAWORDS, Math.floor(input.octets / GIGAWORD)),
    integerAttribute(RadiusAttribute.ACCT_INPUT_PACKETS, input.packets % GIGAWORD),
    integerAttribute(RadiusAttribute.ACCT_OUTPUT_OCTETS, output.octets % GIGAWORD),
    integerAttribute(RadiusAttribute.ACCT_OUTPUT_GIGAWORDS, Math.floor(output.octets / GIGAWORD)),
    integerAttribute(RadiusAttribute.ACCT_OUTPUT_PACKETS, output.packets % GIGAWORD),
  ];
}

function framedAddress(address: string): readonly Attribute[] {
  const value = parseAddress(address);
  if (value === undefined) return [];
  const { FRAMED_IP_ADDRESS, FRAMED_IPV6_ADDRESS } = RadiusAttribute;
  return [{ type: value.length === 4 ? FRAMED_IP_ADDRESS : FRAMED_IPV6_ADDRESS, value }];
}

function classesOf(session: AccountedSession): readonly Attribute[] {
  const attributes: Attribute[] = [];
  let left = LONGEST_CLASSES;
  for (const value of session.class) {
    left -= value.length + 2;
    if (left < 0) break;
    attributes.push({ type: RadiusAttribute.CLASS, value });
  }
  return attributes;
}

/** The subject of a certificate may be longer than an attribute. */
function limitedText(type: number, text: string): Attribute {
  const { value } = textAttribute(type, text);
  return { type, value: value.subarray(0, LONGEST_VALUE) };
}
