import { concat } from "../../bytes/concat.ts";
import { fromHex, toHex } from "../../bytes/hex.ts";
import { AUTHENTICATOR_RESPONSE_LENGTH, CHALLENGE_LENGTH, NT_RESPONSE_LENGTH } from "./formulas.ts";

/**
 * What stands behind Type in EAP-MSCHAPv2, draft-kamath-pppext-eap-mschapv2 section 2:
 *
 *   OpCode (1) | MS-CHAPv2-ID (1) | MS-Length (2) | by OpCode
 *
 *   Challenge   Value-Size (1) = 16 | Challenge (16) | Name
 *   Response    Value-Size (1) = 49 | Peer-Challenge (16) | Reserved (8) | NT-Response (24) | Flags (1) | Name
 *   Success     in a request: "S=" 40 hex digits, " M=" a text; in a response OpCode is all
 *   Failure     in a request: "E=691 R=1 C=" 32 hex digits, " V=3 M=" a text; in a response OpCode is all
 *
 * MS-Length counts from OpCode on. Decoding gives undefined for what has wrong lengths; what it gives are views.
 */
export const OpCode = {
  CHALLENGE: 1,
  RESPONSE: 2,
  SUCCESS: 3,
  FAILURE: 4,
  CHANGE_PASSWORD: 7,
} as const;

/** Why a login failed, RFC 2759 section 6. */
export const MschapError = {
  ERROR_RESTRICTED_LOGON_HOURS: 646,
  ERROR_ACCT_DISABLED: 647,
  ERROR_PASSWD_EXPIRED: 648,
  ERROR_NO_DIALIN_PERMISSION: 649,
  ERROR_AUTHENTICATION_FAILURE: 691,
  ERROR_CHANGING_PASSWORD: 709,
} as const;

const HEADER_LENGTH = 4;
const RESPONSE_VALUE_LENGTH = CHALLENGE_LENGTH + 8 + NT_RESPONSE_LENGTH + 1;
/** RFC 2759 section 4. */
const LONGEST_NAME = 256;
/** Far more than any server says. */
const LONGEST_MESSAGE = 1024;

export interface Challenge {
  readonly id: number;
  readonly challenge: Uint8Array;
}

export interface Response {
  readonly peerChallenge: Uint8Array;
  readonly ntResponse: Uint8Array;
  readonly name: Uint8Array;
}

export interface Failure {
  readonly error: number;
  readonly mayRetry: boolean;
  readonly message: string;
}

export function encodeChallenge({ id, challenge, name }: Challenge & { readonly name: string }): Uint8Array {
  return framed(
    OpCode.CHALLENGE,
    id,
    concat(Uint8Array.of(CHALLENGE_LENGTH), challenge, new TextEncoder().encode(name)),
  );
}

export function decodeChallenge(data: Uint8Array): Challenge | undefined {
  const body = bodyOf(data);
  if (body === undefined || body.length < 1 + CHALLENGE_LENGTH || body[0] !== CHALLENGE_LENGTH)
    return undefined;
  return { id: data[1]!, challenge: body.subarray(1, 1 + CHALLENGE_LENGTH) };
}

export function encodeResponse({
  id,
  peerChallenge,
  ntResponse,
  name,
}: Response & { readonly id: number }): Uint8Array {
  const value = new Uint8Array(1 + RESPONSE_VALUE_LENGTH);
  value[0] = RESPONSE_VALUE_LENGTH;
  value.set(peerChallenge, 1);
  value.set(ntResponse, 1 + CHALLENGE_LENGTH + 8);
  return framed(OpCode.RESPONSE, id, concat(value, name));
}

export function decodeResponse(data: Uint8Array): Response | undefined {
  const body = bodyOf(data);
  if (body === undefined || body.length < 1 + RESPONSE_VALUE_LENGTH) return undefined;
  const name = body.subarray(1 + RESPONSE_VALUE_LENGTH);
  if (body[0] !== RESPONSE_VALUE_LENGTH || name.length > LONGEST_NAME) return undefined;
  const responseAt = 1 + CHALLENGE_LENGTH + 8;
  return {
    peerChallenge: body.subarray(1, 1 + CHALLENGE_LENGTH),
    ntResponse: body.subarray(responseAt, responseAt + NT_RESPONSE_LENGTH),
    name,
  };
}

export function encodeSuccess({
  id,
  authenticatorResponse,
}: {
  readonly id: number;
  readonly authenticatorResponse: Uint8Array;
}): Uint8Array {
  return framed(OpCode.SUCCESS, id, ascii(`S=${toHex(authenticatorResponse).toUpperCase()} M=Welcome`));
}

/** The authenticator response of a Success request. */
export function decodeSuccess(data: Uint8Array): Uint8Array | undefined {
  const message = messageOf(data);
  const digits = message?.match(/^S=([0-9A-Fa-f]*)(?: |$)/)?.[1];
  return digits?.length === 2 * AUTHENTICATOR_RESPONSE_LENGTH ? fromHex(digits) : undefined;
}

export function encodeFailure({
  id,
  error,
  mayRetry,
  challenge,
}: {
  readonly id: number;
  readonly error: number;
  readonly mayRetry: boolean;
  readonly challenge: Uint8Array;
}): Uint8Array {
  const retry = mayRetry ? 1 : 0;
  const fields = `E=${error} R=${retry} C=${toHex(challenge).toUpperCase()} V=3 M=Authentication failed`;
  return framed(OpCode.FAILURE, id, ascii(fields));
}

/** `message` is what may be printed of the server's. */
export function decodeFailure(data: Uint8Array): Failure | undefined {
  const fields = messageOf(data)?.match(
    /^E=(\d{1,10})(?: R=([01]))?(?: C=[0-9A-Fa-f]{32})?(?: V=\d{1,3})?(?: M=(.*))?$/s,
  );
  if (fields === null || fields === undefined) return undefined;
  return {
    error: Number(fields[1]),
    mayRetry: fields[2] === "1",
    message: (fields[3] ?? "").replace(/[^\x20-\x7e]+/g, " ").slice(0, 100),
  };
}

function framed(opCode: number, id: number, body: Uint8Array): Uint8Array {
  const length = HEADER_LENGTH + body.length;
  return concat(Uint8Array.of(opCode, id, length >>> 8, length & 0xff), body);
}

/** What is behind the header, if MS-Length is the length of it all. */
function bodyOf(data: Uint8Array): Uint8Array | undefined {
  if (data.length < HEADER_LENGTH || ((data[2]! << 8) | data[3]!) !== data.length) return undefined;
  return data.subarray(HEADER_LENGTH);
}

function messageOf(data: Uint8Array): string | undefined {
  const body = bodyOf(data);
  if (body === undefined || body.length > LONGEST_MESSAGE) return undefined;
  return String.fromCharCode(...body);
}

function ascii(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
