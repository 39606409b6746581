import type { TunnelRecord } from "./record.ts";

/**
 * The record with those alone who answer a question of their own: what a README has room for. The others are like one of these: with a shorter key,
 * without offloads, with a second data worker, or strongSwan with another cipher.
 */
export function chosenOf(record: TunnelRecord): TunnelRecord {
  return { ...record, contenders: record.contenders.filter(({ name }) => !LIKE_ANOTHER.test(name)) };
}

const LIKE_ANOTHER = /aes128|-nooffload$|-\d+workers$|^strongswan-(?!aes256gcm16$)/;
