// What AES-GCM and AES-GMAC keep at the context address behind the expanded AES key: AEAD_CONTEXT_SIZE octets in all, and
// the GHASH table beside it. Both are written by gcmExpandKey and only read afterwards.

import { MODE_OFFSET } from "./aes-context";
import { AEAD_CONTEXT_SIZE, GHASH_TABLE_SIZE } from "./layout";

/** u32: address of the GHASH table. */
const TABLE_OFFSET: u32 = 4;
/** H^8 and H^16 as rows (ghash-table.ts). */
const FOLD_ROWS_OFFSET: u32 = MODE_OFFSET;
const FOLD_ROWS_SIZE: u32 = 512;
const END_OFFSET: u32 = FOLD_ROWS_OFFSET + 2 * FOLD_ROWS_SIZE;

if (END_OFFSET > <u32>AEAD_CONTEXT_SIZE) ERROR("The AES-GCM context does not fit its place in layout.ts");
if (GHASH_TABLE_SIZE < 65536) ERROR("The GHASH table does not fit its place in layout.ts");

export function table(context: usize): usize {
  return load<u32>(context, TABLE_OFFSET);
}

export function setTable(context: usize, table: usize): void {
  store<u32>(context, <u32>table, TABLE_OFFSET);
}

/** `power` is 8 or 16. */
export function foldRows(context: usize, power: u32): usize {
  const place: u32 = power == 16 ? FOLD_ROWS_SIZE : 0;
  return context + FOLD_ROWS_OFFSET + place;
}
