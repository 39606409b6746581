// What encrypt-then-MAC suites keep at the context address: the expanded AES key (aes-context.ts) and what is below.
// Written by etmExpandKey, only read afterwards.

import { MODE_OFFSET, SHORT_CONTEXT_SIZE } from "./aes-context";
import { STATE_SIZE } from "./hashes";
import { AEAD_CONTEXT_SIZE, SA_AEAD_OFFSET, SA_REPLAY_OFFSET, SA_REPLAY_SIZE } from "./layout";

/** u32: CIPHER_*. */
const CIPHER_OFFSET: u32 = 8;
/** u32: HASH_*. */
const HASH_OFFSET: u32 = 12;
/** The states of HMAC after its first block, key ^ ipad and key ^ opad (RFC 2104 section 4). */
const INNER_STATE_OFFSET: u32 = MODE_OFFSET;
const OUTER_STATE_OFFSET: u32 = INNER_STATE_OFFSET + STATE_SIZE;

if (OUTER_STATE_OFFSET + STATE_SIZE > <u32>AEAD_CONTEXT_SIZE)
  ERROR("The encrypt-then-MAC context does not fit its place in layout.ts");
if (SHORT_CONTEXT_SIZE > <u32>SA_REPLAY_SIZE)
  ERROR("The key of IVs does not fit the place of a replay window");

export function cipher(context: usize): u32 {
  return load<u32>(context, CIPHER_OFFSET);
}

export function hash(context: usize): u32 {
  return load<u32>(context, HASH_OFFSET);
}

export function setSuite(context: usize, cipher: u32, hash: u32): void {
  store<u32>(context, cipher, CIPHER_OFFSET);
  store<u32>(context, hash, HASH_OFFSET);
}

/** A second expanded AES key: the one that makes IVs (cbc-iv.ts). Only senders need it, and they have no replay window. */
export function ivContext(context: usize): usize {
  return context - SA_AEAD_OFFSET + SA_REPLAY_OFFSET;
}

export function innerState(context: usize): usize {
  return context + INNER_STATE_OFFSET;
}

export function outerState(context: usize): usize {
  return context + OUTER_STATE_OFFSET;
}
