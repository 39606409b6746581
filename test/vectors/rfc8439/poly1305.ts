export interface Poly1305Vector {
  readonly source: string;
  readonly r: string;
  readonly s: string;
  readonly message: string;
  readonly tag: string;
}

const ZERO = "00".repeat(16);
const ONES = "ff".repeat(16);
const small = (first: string): string => first.padEnd(32, "0");

const R_OF_10 = "01000000000000000400000000000000";
const BLOCKS_OF_10 =
  "e33594d7505e43b90000000000000000" +
  "3394d7505e4379cd0100000000000000" +
  "00000000000000000000000000000000" +
  "01000000000000000000000000000000";

/** Messages are whole blocks of 16 octets. */
export const POLY1305_VECTORS: readonly Poly1305Vector[] = [
  { source: "RFC 8439 appendix A.3, test vector 1", r: ZERO, s: ZERO, message: "00".repeat(64), tag: ZERO },
  {
    source: "RFC 8439 appendix A.3, test vector 5",
    r: small("02"),
    s: ZERO,
    message: ONES,
    tag: small("03"),
  },
  {
    source: "RFC 8439 appendix A.3, test vector 6",
    r: small("02"),
    s: ONES,
    message: small("02"),
    tag: small("03"),
  },
  {
    source: "RFC 8439 appendix A.3, test vector 7",
    r: small("01"),
    s: ZERO,
    message: `${ONES}f0${"ff".repeat(15)}${small("11")}`,
    tag: small("05"),
  },
  {
    source: "RFC 8439 appendix A.3, test vector 8",
    r: small("01"),
    s: ZERO,
    message: `${ONES}fb${"fe".repeat(15)}${"01".repeat(16)}`,
    tag: ZERO,
  },
  {
    source: "RFC 8439 appendix A.3, test vector 9",
    r: small("02"),
    s: ZERO,
    message: `fd${"ff".repeat(15)}`,
    tag: `fa${"ff".repeat(15)}`,
  },
  {
    source: "RFC 8439 appendix A.3, test vector 10",
    r: R_OF_10,
    s: ZERO,
    message: BLOCKS_OF_10,
    tag: "14000000000000005500000000000000",
  },
  {
    source: "RFC 8439 appendix A.3, test vector 11",
    r: R_OF_10,
    s: ZERO,
    message: BLOCKS_OF_10.slice(0, 96),
    tag: small("13"),
  },
];
