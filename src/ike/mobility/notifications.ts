import { equal } from "../../bytes/constant-time.ts";
import { formatAddress, parseAddress } from "../../bytes/ip-address.ts";
import { Writer } from "../../bytes/writer.ts";
import { NotifyType } from "../../iana/ikev2-parameters.ts";
import type { Path } from "../../platform/address.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import { findNotify, notify } from "../payloads.ts";

/** The addresses beside the one that the message comes from (RFC 4555 sections 4.2.2 to 4.2.4). None is said in so many words. */
export function encodeAdditionalAddresses(addresses: readonly string[]): readonly PayloadOf<"notify">[] {
  const notifies = addresses.flatMap((address) => {
    const octets = parseAddress(address);
    if (octets === undefined) return [];
    return [notify(octets.length === 4 ? ADDITIONAL_IP4_ADDRESS : ADDITIONAL_IP6_ADDRESS, octets)];
  });
  return notifies.length > 0 ? notifies : [notify(NotifyType.NO_ADDITIONAL_ADDRESSES)];
}

/**
 * Undefined when the message says nothing about addresses. Those that nobody can be reached at are left out, and of many the first
 * `most` are taken.
 */
export function decodeAdditionalAddresses(
  payloads: readonly Payload[],
  most: number,
): readonly string[] | undefined {
  let isSaid = false;
  const addresses = new Set<string>();
  for (const payload of payloads) {
    if (payload.kind !== "notify") continue;
    const { notifyType, data } = payload;
    const length = LENGTHS.get(notifyType);
    if (length === undefined) continue;
    isSaid = true;
    if (length > 0 && data.length === length && isUnicast(data) && addresses.size < most)
      addresses.add(formatAddress(data));
  }
  return isSaid ? [...addresses] : undefined;
}

/**
 * NO_NATS_ALLOWED (RFC 4555 section 4.2.6), as the sender of a message sees its two ends:
 *
 *   source address (4 or 16) | destination address (4 or 16) | source port (2) | destination port (2)
 */
export function encodeNoNatsAllowed({ local, remote }: Path): PayloadOf<"notify"> {
  const data = new Writer();
  for (const { address } of [local, remote]) data.bytes(parseAddress(address) ?? new Uint8Array(0));
  for (const { port } of [local, remote]) data.u16(port);
  return notify(NotifyType.NO_NATS_ALLOWED, data.finish());
}

/** Whether the sender forbids NATs and one has touched the message all the same; `path` is the receiver's view. */
export function wasTranslated(payloads: readonly Payload[], { local, remote }: Path): boolean {
  const claimed = findNotify(payloads, NotifyType.NO_NATS_ALLOWED);
  if (claimed === undefined) return false;
  return !equal(claimed.data, encodeNoNatsAllowed({ local: remote, remote: local }).data);
}

/** RFC 4555 section 4.2.5: from 8 to 64 octets, which nobody can foresee who does not get the message. */
export const COOKIE2_LENGTH = 16;

export function cookieIn(payloads: readonly Payload[]): PayloadOf<"notify"> | undefined {
  return findNotify(payloads, NotifyType.COOKIE2);
}

/** Whether somebody may be behind the address: it is no group, no loopback and not unspecified. */
function isUnicast(octets: Uint8Array): boolean {
  const isZero = octets.every((octet, i) => octet === (i === 15 ? octet & 1 : 0));
  if (octets.length === 4) return octets[0] !== 0 && octets[0] !== 127 && octets[0]! < 224;
  const isLinkLocal = octets[0] === 0xfe && (octets[1]! & 0xc0) === 0x80;
  return !isZero && octets[0] !== 0xff && !isLinkLocal;
}

const { ADDITIONAL_IP4_ADDRESS, ADDITIONAL_IP6_ADDRESS } = NotifyType;

const LENGTHS: ReadonlyMap<number, number> = new Map([
  [ADDITIONAL_IP4_ADDRESS, 4],
  [ADDITIONAL_IP6_ADDRESS, 16],
  [NotifyType.NO_ADDITIONAL_ADDRESSES, 0],
]);
