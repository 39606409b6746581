import { fromHex, toHex } from "../../bytes/hex.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import type { EapGrants } from "../../eap/session.ts";
import type { Identity } from "../../policy/connection.ts";
import { decodeProposal, encodeProposal, type Proposal } from "../../wire/payloads/proposal.ts";
import type { ClientGuess } from "../client-guess.ts";

/**
 * What a session is resumed from (RFC 5723 section 6): with us a ticket holds it, and a client keeps the same beside its ticket. Times are
 * milliseconds since 1970, since they outlive us.
 */
export interface SessionState {
  /** All tickets of one IKE SA, however often it is rekeyed, are of one family, of which one ticket is good once. Empty at a client. */
  readonly family: Uint8Array;
  /** When that IKE SA was set up, and until when the ticket is good. */
  readonly bornAt: number;
  readonly expiresAt: number;
  readonly initiator: Identity;
  readonly responder: Identity;
  /** Of the IKE SA that had the ticket. */
  readonly initiatorSpi: bigint;
  readonly responderSpi: bigint;
  /** What was chosen, one transform of each type. */
  readonly proposal: Proposal;
  /** SK_d of that IKE SA. */
  readonly skD: Uint8Array;
  /** Whether a PPK is in it. */
  readonly hasPpk: boolean;
  readonly connection: string;
  /** From `stampOf`: the connection as it was. */
  readonly stamp: Uint8Array;
  /** EAP identity, and what the login rested on where we can tell whether it still does. */
  readonly user: string | undefined;
  readonly account: Uint8Array | undefined;
  /** What the peer seems to be. */
  readonly client: ClientGuess | undefined;
  /** Until when what was shown in IKE_AUTH holds; undefined is for ever. */
  readonly authenticUntil: number | undefined;
  /** What RADIUS has granted; `sessionSeconds` counts from `bornAt`. */
  readonly grants: EapGrants | undefined;
}

const VERSION = 1;
const HAS_PPK = 0x01;
const HAS_USER = 0x02;
const HAS_ACCOUNT = 0x04;
const HAS_GRANTS = 0x08;

/**
 *   version (1) | flags (1) | bornAt (8) | expiresAt (8) | authenticUntil (8, 0 for ever) | SPIi (8) | SPIr (8) | family | SK_d |
 *   IDi | IDr | connection | client | stamp | [user] | [account] | [grants] | proposal
 *
 * Whatever has no fixed length has its length in two octets before it.
 */
export function encodeSessionState(state: SessionState): Uint8Array {
  const { user, account, grants } = state;
  const writer = new Writer();
  writer.u8(VERSION);
  writer.u8(
    (state.hasPpk ? HAS_PPK : 0) |
      (user === undefined ? 0 : HAS_USER) |
      (account === undefined ? 0 : HAS_ACCOUNT) |
      (grants === undefined ? 0 : HAS_GRANTS),
  );
  for (const time of [state.bornAt, state.expiresAt, state.authenticUntil ?? 0])
    writer.u64(BigInt(Math.floor(time)));
  writer.u64(state.initiatorSpi);
  writer.u64(state.responderSpi);
  put(writer, state.family);
  put(writer, state.skD);
  for (const { type, data } of [state.initiator, state.responder]) {
    writer.u8(type);
    put(writer, data);
  }
  put(writer, utf8(state.connection));
  put(writer, utf8(state.client ?? ""));
  put(writer, state.stamp);
  if (user !== undefined) put(writer, utf8(user));
  if (account !== undefined) put(writer, account);
  // What RADIUS says is of many kinds, and few tickets have any.
  if (grants !== undefined) put(writer, utf8(grantsAsText(grants)));
  encodeProposal(state.proposal, true, writer);
  return writer.finish();
}

/** Copies of its own. Throws WireError for what is no state of this version. */
export function decodeSessionState(octets: Uint8Array): SessionState {
  const reader = new Reader(octets, "Session state");
  const version = reader.u8("version");
  if (version !== VERSION) reader.fail("version", `is ${version}`);
  const flags = reader.u8("flags");
  const [bornAt, expiresAt, authenticUntil] = ["bornAt", "expiresAt", "authenticUntil"].map((field) =>
    Number(reader.u64(field)),
  ) as [number, number, number];
  const initiatorSpi = reader.u64("SPIi");
  const responderSpi = reader.u64("SPIr");
  const family = take(reader, "family");
  const skD = take(reader, "SK_d");
  const initiator = { type: reader.u8("IDi"), data: take(reader, "IDi") };
  const responder = { type: reader.u8("IDr"), data: take(reader, "IDr") };
  const connection = text(take(reader, "connection"));
  const client = (text(take(reader, "client")) || undefined) as ClientGuess | undefined;
  const stamp = take(reader, "stamp");
  const user = (flags & HAS_USER) === 0 ? undefined : text(take(reader, "user"));
  const account = (flags & HAS_ACCOUNT) === 0 ? undefined : take(reader, "account");
  const grants = (flags & HAS_GRANTS) === 0 ? undefined : grantsFrom(text(take(reader, "grants")));
  const { spi, ...proposal } = decodeProposal(reader);
  reader.end();
  return {
    family,
    bornAt,
    expiresAt,
    initiator,
    responder,
    initiatorSpi,
    responderSpi,
    proposal: { ...proposal, spi: new Uint8Array(spi) },
    skD,
    hasPpk: (flags & HAS_PPK) !== 0,
    connection,
    stamp,
    user,
    account,
    client,
    authenticUntil: authenticUntil === 0 ? undefined : authenticUntil,
    grants,
  };
}

function put(writer: Writer, octets: Uint8Array): void {
  writer.u16(octets.length);
  writer.bytes(octets);
}

/** A copy, also of a Buffer, whose `slice` is none. */
function take(reader: Reader, field: string): Uint8Array {
  return new Uint8Array(reader.bytes(reader.u16(field), field));
}

function utf8(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function text(octets: Uint8Array): string {
  return new TextDecoder().decode(octets);
}

function grantsAsText({ class: classes, ...grants }: EapGrants): string {
  return JSON.stringify({ ...grants, ...(classes && { class: classes.map(toHex) }) });
}

/** Nobody but us has written it. */
function grantsFrom(json: string): EapGrants {
  const { class: classes, ...grants } = JSON.parse(json) as Omit<EapGrants, "class"> & {
    readonly class?: readonly string[];
  };
  return { ...grants, ...(classes && { class: classes.map(fromHex) }) };
}
