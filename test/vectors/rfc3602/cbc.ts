export interface CbcVector {
  readonly source: string;
  readonly key: string;
  readonly iv: string;
  readonly plaintext: string;
  readonly ciphertext: string;
}

export const CBC_VECTORS: readonly CbcVector[] = [
  {
    source: "case 1",
    key: "06a9214036b8a15b512e03d534120006",
    iv: "3dafba429d9eb430b422da802c9fac41",
    plaintext: "53696e676c6520626c6f636b206d7367",
    ciphertext: "e353779c1079aeb82708942dbe77181a",
  },
  {
    source: "case 2",
    key: "c286696d887c9aa0611bbb3e2025a45a",
    iv: "562e17996d093d28ddb3ba695a2e6f58",
    plaintext: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    ciphertext: "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
  },
  {
    source: "case 3",
    key: "6c3ea0477630ce21a2ce334aa746c2cd",
    iv: "c782dc4c098c66cbd9cd27d825682c81",
    plaintext:
      "5468697320697320612034382d62797465206d657373616765202865786163746c7920332041455320626c6f" + "636b7329",
    ciphertext:
      "d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5021c19216bad525c8579695d" + "83ba2684",
  },
  {
    source: "case 4",
    key: "56e47a38c5598974bc46903dba290349",
    iv: "8ce82eefbea0da3c44699ed7db51b7d9",
    plaintext:
      "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacb" +
      "cccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf",
    ciphertext:
      "c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c684db207eb0ef8e4e35907aa632c3ffdf868bb7b2" +
      "9d3d46ad83ce9f9a102ee99d49a53e87f4c3da55",
  },
  {
    source: "case 5",
    key: "90d382b410eeba7ad938c46cec1a82bf",
    iv: "e96e8c08ab465763fd098d45dd3ff893",
    plaintext:
      "08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223" +
      "2425262728292a2b2c2d2e2f30313233343536370102030405060708090a0b0c0d0e0e01",
    ciphertext:
      "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856a4699e523a55db080b59ec3a" +
      "8e4b7e52775b07d1db34ed9c538ab50c551b874aa269add047ad2d5913ac19b7cfbad4a6",
  },
  {
    source: "case 6",
    key: "90d382b410eeba7ad938c46cec1a82bf",
    iv: "69d08df7d203329db093fc4924e5bd80",
    plaintext: "0800b5e8a80a0500a69c083d0b660e0077777777777777777777777701020201",
    ciphertext: "f51995881ec4e0c4488987ce742e8109689bb379d2d750c0d915dca346a89f75",
  },
  {
    source: "case 7",
    key: "0123456789abcdef0123456789abcdef",
    iv: "f4e765244f6407adf13dc1380f673f37",
    plaintext:
      "45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d02a2040008090a0b0c0d0e0f" +
      "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363701020304" +
      "05060708090a0a04",
    ciphertext:
      "773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8e4ecaec78ac53aad7a0f022b" +
      "859243c647752e94a859352b8a4d4d2decd136e5c177f132ad3fbfb2201ac9904c74ee0a109e0ca1e4dfe9d5" +
      "a100b842f1c22f0d",
  },
  {
    source: "case 8",
    key: "0123456789abcdef0123456789abcdef",
    iv: "85d47224b5f3dd5d2101d4ea8dffab22",
    plaintext:
      "45000044090c00004001f990c0a87b03c0a87bc80800d63caa0a0200c69c083da3de0300ffffffffffffffff" +
      "ffffffffffffffffffffffffffffffffffffffffffffffff0102030405060708090a0a04",
    ciphertext:
      "15b92683819596a8047232cc00f7048fe45318e11f8a0f62ede3c3fc61203bb50f980a08c9843fd3a1b06d5c" +
      "07ff9639b7eb7dfb3512e5de435e7207ed971ef3d2726d9b5ef6affc6d17a0decbb13892",
  },
];
