// ESP in tunnel mode with an AEAD, RFC 4303 section 2 and RFC 4106 section 3:
//
//   SPI (4) | Sequence Number (4) | IV (8) | inner packet | padding 1, 2, 3 ... | Pad Length (1) | Next Header (1) | ICV (16)

import { TAG_LENGTH } from "./layout";

export const SEQUENCE_OFFSET: usize = 4;
export const IV_OFFSET: usize = 8;
export const PAYLOAD_OFFSET: u32 = 16;
export const ICV_LENGTH: u32 = TAG_LENGTH;
/** Pad Length and Next Header. */
export const TRAILER_LENGTH: u32 = 2;
export const NEXT_HEADER_IPV4: u32 = 4;
export const NEXT_HEADER_IPV6: u32 = 41;
/** RFC 4303 section 2.6. */
export const NEXT_HEADER_NONE: u32 = 59;
