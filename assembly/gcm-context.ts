// What AES-GCM and AES-GMAC keep at the context address behind the expanded AES key: AEAD_CONTEXT_SIZE octets in all.
// Written by gcmExpandKey and only read afterwards.

import { MODE_OFFSET } from "./aes-context";
import { AEAD_CONTEXT_SIZE } from "./layout";

/** H as rows (ghash-table.ts): all that GHASH needs. */
const ROWS_OFFSET: u32 = MODE_OFFSET;
const ROWS_SIZE: u32 = 512;

if (ROWS_OFFSET + ROWS_SIZE > <u32>AEAD_CONTEXT_SIZE)
  ERROR("The AES-GCM context does not fit its place in layout.ts");

export function rowsOfH(context: usize): usize {
  return context + ROWS_OFFSET;
}
