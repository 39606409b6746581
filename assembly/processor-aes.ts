// AES by the processor's own instructions, which WebAssembly has no access to. The host lends them where it can, block by block;
// modes, XOR and authentication stay here. Where it cannot, or once it has failed, aes.ts does it all.
//
// Keys that have tables (key-tables.ts) are lent AES, and the place of their tables is their number with the host.

import { rawKey, rawKeyLength } from "./aes-context";
import { WORKER_AES_LENT_OFFSET } from "./layout";
import { region } from "./scratch";

// Imports of the module, under the name of this file (src/esp/kernel.ts).

/** Whether the host lends AES at all. */
declare function hasAes(): bool;
/** Expands the key for that place, which had none, to encrypt or to decrypt with. False when the host could not. */
declare function expandKey(place: u32, key: usize, keyLength: u32, isForDecryption: bool): bool;
/** Encrypts or decrypts blocks in place, each by itself. False when the host could not: then the blocks hold anything. */
declare function crypt(place: u32, blocks: usize, length: u32): bool;
/** Wipes what the host has of the key at that place. */
declare function forgetKey(place: u32): void;

let isLent: bool = false;

/** Asks the host, once for each instance. */
export function borrowAes(): void {
  note(hasAes());
}

/** Whether keys with tables are lent AES. */
export function isAesLent(): bool {
  return isLent;
}

/** Hands a key to the host as that of a place. */
export function lendKey(place: u32, context: usize, isForDecryption: bool): void {
  if (isLent) note(expandKey(place, rawKey(context), rawKeyLength(context), isForDecryption));
}

/** Encrypts or decrypts `count` blocks in place under the key of a place. False when the blocks have to be made anew, by aes.ts. */
export function cryptLent(place: u32, blocks: usize, count: u32): bool {
  if (crypt(place, blocks, 16 * count)) return true;
  note(false);
  return false;
}

/** Takes a key back. Those that were handed over before a failure are wiped too. */
export function takeKeyBack(place: u32): void {
  forgetKey(place);
}

function note(lent: bool): void {
  isLent = lent;
  store<u32>(region() + WORKER_AES_LENT_OFFSET, lent ? 1 : 0);
}
