const text = (ascii: string): string => Buffer.from(ascii, "ascii").toString("hex");

const HI_THERE = { key: "0b".repeat(20), data: text("Hi There") };
const JEFE = { key: text("Jefe"), data: text("what do ya want for nothing?") };
const LONG_DATA = text("Test Using Larger Than Block-Size Key - Hash Key First");

export interface HmacVector {
  readonly source: string;
  readonly prfId: number;
  readonly key: string;
  readonly data: string;
  readonly expected: string;
}

export const HMAC_VECTORS: readonly HmacVector[] = [
  { source: "RFC 2202 case 1", prfId: 2, ...HI_THERE, expected: "b617318655057264e28bc0b6fb378c8ef146be00" },
  { source: "RFC 2202 case 2", prfId: 2, ...JEFE, expected: "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
  {
    source: "RFC 2202 case 6",
    prfId: 2,
    key: "aa".repeat(80),
    data: LONG_DATA,
    expected: "aa4ae5e15272d00e95705637ce8a3b55ed402112",
  },
  {
    source: "RFC 4231 case 1 (SHA-256)",
    prfId: 5,
    ...HI_THERE,
    expected: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
  },
  {
    source: "RFC 4231 case 2 (SHA-256)",
    prfId: 5,
    ...JEFE,
    expected: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  },
  {
    source: "RFC 4231 case 6 (SHA-256)",
    prfId: 5,
    key: "aa".repeat(131),
    data: LONG_DATA,
    expected: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
  },
  {
    source: "RFC 4231 case 1 (SHA-384)",
    prfId: 6,
    ...HI_THERE,
    expected:
      "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
  },
  {
    source: "RFC 4231 case 2 (SHA-384)",
    prfId: 6,
    ...JEFE,
    expected:
      "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
  },
  {
    source: "RFC 4231 case 1 (SHA-512)",
    prfId: 7,
    ...HI_THERE,
    expected:
      "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
  },
  {
    source: "RFC 4231 case 2 (SHA-512)",
    prfId: 7,
    ...JEFE,
    expected:
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
  },
];
