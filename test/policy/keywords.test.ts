import { describe, expect, test } from "vitest";
import { keyLengths } from "../../src/crypto/suites.ts";
import { PolicyError } from "../../src/errors/index.ts";
import {
  DEFAULT_ESP_PROPOSALS,
  DEFAULT_ESP_PROPOSALS_WITHOUT_AES,
  DEFAULT_IKE_PROPOSALS,
} from "../../src/policy/default-proposals.ts";
import { FOREIGN_KEYWORDS, KEYWORDS } from "../../src/policy/keyword-table.ts";
import { formatProposal, parseEspProposal, parseIkeProposal } from "../../src/policy/keywords.ts";
import { findTransform } from "../../src/policy/transforms.ts";
import type { Proposal } from "../../src/wire/payloads/proposal.ts";

/** [type, id] or [type, id, key length] of each transform. */
const numbers = ({ transforms }: Proposal): number[][] =>
  transforms.map(({ type, id, keyLength }) => (keyLength === undefined ? [type, id] : [type, id, keyLength]));

describe("IKE proposals", () => {
  test.each([
    [
      "aes256-sha256-modp2048",
      [
        [1, 12, 256],
        [2, 5],
        [3, 12],
        [4, 14],
      ],
    ],
    [
      "aes128-sha1-modp2048",
      [
        [1, 12, 128],
        [2, 2],
        [3, 2],
        [4, 14],
      ],
    ],
    [
      "aes192-sha384-prfsha512-ecp521",
      [
        [1, 12, 192],
        [2, 7],
        [3, 13],
        [4, 21],
      ],
    ],
    [
      "aes256gcm16-prfsha384-x25519",
      [
        [1, 20, 256],
        [2, 6],
        [4, 31],
      ],
    ],
    [
      "aes256gcm16-prfsha384-x25519-ke2_none-ke1_mlkem768-ke2_mlkem1024",
      [
        [1, 20, 256],
        [2, 6],
        [4, 31],
        [6, 36],
        [7, 0],
        [7, 37],
      ],
    ],
    [
      "aes128gcm128-prfsha1-curve448",
      [
        [1, 20, 128],
        [2, 2],
        [4, 32],
      ],
    ],
    [
      "chacha20poly1305-prfsha256-ecp256",
      [
        [1, 28],
        [2, 5],
        [4, 19],
      ],
    ],
    [
      "aes256gcm16-sha384-ecp384",
      [
        [1, 20, 256],
        [2, 6],
        [4, 20],
      ],
    ], // the integrity keyword names the PRF
    [
      "modp8192-sha512-AES256",
      [
        [1, 12, 256],
        [2, 7],
        [3, 14],
        [4, 18],
      ],
    ],
    [
      "aes256-aes128-sha256-sha512-modp2048-x25519",
      [
        [1, 12, 256],
        [1, 12, 128],
        [2, 5],
        [2, 7],
        [3, 12],
        [3, 14],
        [4, 14],
        [4, 31],
      ],
    ],
  ] as const)("%s", (text, transforms) => {
    const proposal = parseIkeProposal(text);
    expect(numbers(proposal)).toEqual(transforms);
    expect(proposal).toMatchObject({ number: 1, protocolId: 1, spi: new Uint8Array(0) });
  });

  test("a keyword written twice counts once", () => {
    expect(parseIkeProposal("aes256-aes256-sha256-x25519-curve25519")).toEqual(
      parseIkeProposal("aes256-sha256-x25519"),
    );
  });

  test.each([
    ["aes256-sha265-modp2048", 'unknown keyword "sha265", did you mean "sha256"?'],
    ["aes256gcm61-prfsha256-x25519", 'did you mean "aes256gcm16"?'],
    ["aes256-sha256-modp2048!", 'did you mean "modp2048"?'],
    ["aes256-nonsense-x25519", 'unknown keyword "nonsense"'],
    ["aes256-toString-x25519", 'unknown keyword "tostring"'],
    ["aes256-constructor-x25519", 'unknown keyword "constructor"'],
    ["3des-sha1-modp1024", 'this build does not offer "3des"'],
    ["aes256-sha256-modp1024", 'this build does not offer "modp1024"'],
    ["aes256--x25519", "a keyword is missing"],
    ["", "a keyword is missing"],
    ["sha256-x25519", "it has no encryption"],
    ["aes256-x25519", '"aes256" needs integrity protection'],
    ["aes256-prfsha256-x25519", '"aes256" needs integrity protection'],
    ["aes256-sha256", "it has no key exchange group"],
    ["aes256-sha256-mlkem768", 'this build does not offer "mlkem768"'],
    ["aes256-sha256-x25519-ke2_mlkem768", "there is no ke1, and one behind it"],
    ["aes256gcm16-x25519", '"aes256gcm16" needs a PRF beside it'],
    ["aes256gcm16-aes256-sha256-x25519", '"aes256gcm16" and "aes256" cannot share a proposal'],
    ["aes256-sha256-x25519-esn", '"esn" belongs in an ESP proposal'],
    ["aes256gcm16iiv-prfsha256-x25519", '"aes256gcm16iiv" belongs in an ESP proposal'],
    ["chacha20poly1305iiv-prfsha256-x25519", '"chacha20poly1305iiv" belongs in an ESP proposal'],
  ])("%j is refused: %s", (text, reason) => {
    expect(() => parseIkeProposal(text)).toThrow(PolicyError);
    expect(() => parseIkeProposal(text)).toThrow(`IKE proposal "${text}": `);
    expect(() => parseIkeProposal(text)).toThrow(reason);
  });
});

describe("ESP proposals", () => {
  test.each([
    [
      "aes256gcm16",
      [
        [1, 20, 256],
        [5, 0],
      ],
    ],
    [
      "aes128gcm16-noesn",
      [
        [1, 20, 128],
        [5, 0],
      ],
    ],
    [
      "aes192gcm16-esn-noesn",
      [
        [1, 20, 192],
        [5, 1],
        [5, 0],
      ],
    ],
    [
      "chacha20poly1305-esn",
      [
        [1, 28],
        [5, 1],
      ],
    ],
    [
      "chacha20poly1305-aes256gcm16-x25519",
      [
        [1, 28],
        [1, 20, 256],
        [4, 31],
        [5, 0],
      ],
    ],
    [
      "aes256-aes128-sha1-sha256",
      [
        [1, 12, 256],
        [1, 12, 128],
        [3, 2],
        [3, 12],
        [5, 0],
      ],
    ],
    [
      "aes192ctr-sha384-modp2048-esn",
      [
        [1, 13, 192],
        [3, 13],
        [4, 14],
        [5, 1],
      ],
    ],
    [
      "null-sha512",
      [
        [1, 11],
        [3, 14],
        [5, 0],
      ],
    ],
    [
      "aes192gcm16iiv-chacha20poly1305iiv-esn",
      [
        [1, 30, 192],
        [1, 31],
        [5, 1],
      ],
    ],
    [
      "aes256gcm16-x25519-ke2_none-ke1_mlkem768-ke2_mlkem1024",
      [
        [1, 20, 256],
        [4, 31],
        [5, 0],
        [6, 36],
        [7, 0],
        [7, 37],
      ],
    ],
    [
      "aes256gmac-aes128gmac",
      [
        [1, 21, 256],
        [1, 21, 128],
        [5, 0],
      ],
    ],
  ] as const)("%s", (text, transforms) => {
    const proposal = parseEspProposal(text);
    expect(numbers(proposal)).toEqual(transforms);
    expect(proposal.protocolId).toBe(3);
  });

  test.each([
    ["aes256", /"aes256" needs integrity protection: add one such as "sha256"/],
    ["null", /"null" needs integrity protection/],
    ["aes256gcm16-aes128-sha256", /"aes256gcm16" and "aes128" cannot share a proposal/],
    ["aes256gmac-null-sha256", /"aes256gmac" and "null" cannot share a proposal/],
    ["aes256gmac-sha256", /"aes256gmac" protects integrity itself/],
    ["aes256-aesxcbc", /does not offer "aesxcbc"/],
    ["aes256gcm16-sha256", /"aes256gcm16" protects integrity itself: leave out "sha256"/],
    ["aes256gcm16-prfsha256", /"prfsha256" belongs in an IKE proposal/],
    ["aes256gcm16-ke1_mlkem768", /"ke1_mlkem768" needs a group beside it: add one such as "x25519"/],
    ["aes256gcm16-x25519-ke2_mlkem768", /there is no ke1, and one behind it/],
    ["esn", /no encryption/],
  ])("%j is refused", (text, reason) => {
    expect(() => parseEspProposal(text)).toThrow(PolicyError);
    expect(() => parseEspProposal(text)).toThrow(reason);
  });
});

describe("formatting", () => {
  test.each([
    "aes256-sha256-modp2048",
    "aes256-sha256-sha512-prfsha512-modp2048-ecp384",
    "aes256gcm16-prfsha384-x25519",
    "chacha20poly1305-aes128gcm16-prfsha256-prfsha1-x448-ecp521-modp8192",
  ])("%s reads back as itself", (text) => {
    expect(formatProposal(parseIkeProposal(text))).toBe(text);
  });

  test.each([
    "aes256gcm16",
    "chacha20poly1305-esn",
    "aes128gcm16-aes256gcm16-ecp256-esn-noesn",
    "aes256-sha1",
    "aes128ctr-null-sha256-sha512-modp3072-esn",
    "aes192gmac",
    "aes256gcm16iiv-aes128gcm16iiv-aes256gcm16-esn",
    "chacha20poly1305iiv-chacha20poly1305",
  ])("%s too", (text) => {
    expect(formatProposal(parseEspProposal(text))).toBe(text);
  });

  test("synonyms print as the first of them", () => {
    expect(formatProposal(parseIkeProposal("aes-sha-curve25519"))).toBe("aes128-sha1-x25519");
  });

  test("offers that we would not make print in strongSwan's words, registry names or numbers", () => {
    const spi = new Uint8Array(0);
    const windows = [
      { type: 1, id: 3 },
      { type: 3, id: 2 },
      { type: 2, id: 2 },
      { type: 4, id: 2 },
    ];
    expect(formatProposal({ number: 1, protocolId: 1, spi, transforms: windows })).toBe("3des-sha1-modp1024");
    const strange = [
      { type: 1, id: 4 },
      { type: 1, id: 12 },
      { type: 1, id: 20, keyLength: 512 },
      { type: 4, id: 9999 },
      { type: 6, id: 35 },
      { type: 3, id: 0 },
    ];
    expect(formatProposal({ number: 1, protocolId: 1, spi, transforms: strange })).toBe(
      "ENCR_RC5-ENCR_AES_CBC-ENCR_AES_GCM_16_512-9999_type4-ke1_mlkem512",
    );
  });
});

test("no keyword stands in both tables, and every cipher that is offered has a key length", () => {
  for (const word of Object.keys(FOREIGN_KEYWORDS)) expect(Object.hasOwn(KEYWORDS, word)).toBe(false);
  const integrity = KEYWORDS.sha256!;
  for (const transform of Object.values(KEYWORDS)) {
    if (transform.type === 1) {
      const least = transform === KEYWORDS.null ? 0 : 16;
      expect(keyLengths({ encryption: transform, integrity }).encryptionKeyLength).toBeGreaterThanOrEqual(
        least,
      );
    }
  }
});

test("the defaults put combined-mode ciphers first and leave out SHA-1 and small groups", () => {
  expect(findTransform(DEFAULT_IKE_PROPOSALS[0]!, 1)).toEqual({ type: 1, id: 20, keyLength: 256 });
  expect(DEFAULT_IKE_PROPOSALS.map(formatProposal).join(" ")).not.toMatch(/sha1|modp1024|modp1536|3des/);
  expect(DEFAULT_ESP_PROPOSALS.map(formatProposal)).toEqual([
    "aes256gcm16-aes128gcm16-chacha20poly1305-esn-noesn",
    "aes256-aes128-sha256-sha384-sha512-esn-noesn",
  ]);
  expect(DEFAULT_ESP_PROPOSALS_WITHOUT_AES.map(formatProposal)).toEqual([
    "chacha20poly1305-aes256gcm16-aes128gcm16-esn-noesn",
    "aes256-aes128-sha256-sha384-sha512-esn-noesn",
  ]);
});
