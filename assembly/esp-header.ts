// ESP in tunnel mode, RFC 4303 section 2:
//
//   SPI (4) | Sequence Number (4) | IV | inner packet | padding 1, 2, 3 ... | Pad Length (1) | Next Header (1) | ICV
//
//                                    IV    text: whole    ICV
//   AES-GCM, ChaCha20-Poly1305        8    words of 4      16    RFC 4106 section 3, RFC 7634 section 2
//   the same two with implicit IV     0    words of 4      16    RFC 8750 section 3
//   AES-GMAC                          8    words of 4      16    RFC 4543 section 3
//   AES-CBC with HMAC                16    blocks of 16          RFC 3602 sections 2 and 3
//   AES-CTR with HMAC                 8    words of 4            RFC 3686 section 3
//   NULL with HMAC                    0    words of 4            RFC 2410 section 2
//   HMAC-SHA1-96, HMAC-SHA2-256-128, -384-192, -512-256   12, 16, 24, 32    RFC 2404, RFC 4868

import { icvLength } from "./hashes";
import {
  ALGORITHM_ENCRYPT_THEN_MAC,
  CIPHER_AES_CBC,
  CIPHER_NULL,
  SA_FLAG_IMPLICIT_IV,
  TAG_LENGTH,
} from "./layout";
import { Sa } from "./records";

export const SEQUENCE_OFFSET: usize = 4;
export const IV_OFFSET: u32 = 8;
/** Pad Length and Next Header. */
export const TRAILER_LENGTH: u32 = 2;
export const NEXT_HEADER_IPV4: u32 = 4;
export const NEXT_HEADER_IPV6: u32 = 41;
/** RFC 4303 section 2.6. */
export const NEXT_HEADER_NONE: u32 = 59;

/** Notes in the SA what its packets look like. Its flags, algorithm, cipher and hash are written. */
export function describePackets(sa: Sa): void {
  const hasHmac = sa.algorithm == ALGORITHM_ENCRYPT_THEN_MAC;
  const isCbc = hasHmac && sa.cipher == CIPHER_AES_CBC;
  const hasNoIv = hasHmac ? sa.cipher == CIPHER_NULL : (sa.flags & SA_FLAG_IMPLICIT_IV) != 0;
  sa.ivLength = isCbc ? 16 : hasNoIv ? 0 : 8;
  sa.unit = isCbc ? 16 : 4;
  sa.icvLength = hasHmac ? <u8>icvLength(sa.hash) : <u8>TAG_LENGTH;
}
