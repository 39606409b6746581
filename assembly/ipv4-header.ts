// Places in an IPv4 header that decide how long packets are treated (RFC 791 section 3.1).

export const IPV4_HEADER_LENGTH: u32 = 20;
/** Where flags and fragment offset are. */
export const IPV4_FRAGMENT_OFFSET: usize = 6;
export const IPV4_DONT_FRAGMENT: u32 = 0x4000;
export const IPV4_MORE_FRAGMENTS: u32 = 0x2000;
export const IPV4_OFFSET_MASK: u32 = 0x1fff;
