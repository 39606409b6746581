const text = (ascii: string): string => Buffer.from(ascii, "ascii").toString("hex");

export interface KeyedHashVector {
  readonly source: string;
  readonly hash: "sha1" | "sha256" | "sha384" | "sha512";
  readonly key: string;
  readonly data: string;
  readonly expected: string;
}

export const KEYED_HASH_VECTORS: readonly KeyedHashVector[] = [
  {
    source: "RFC 2202 case 1",
    hash: "sha1",
    key: "0b".repeat(20),
    data: text("Hi There"),
    expected: "b617318655057264e28bc0b6fb378c8ef146be00",
  },
  {
    source: "AUTH256-1",
    hash: "sha256",
    key: "0b".repeat(32),
    data: text("Hi There"),
    expected: "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7",
  },
  {
    source: "AUTH384-1",
    hash: "sha384",
    key: "0b".repeat(48),
    data: text("Hi There"),
    expected:
      "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee9737a959796489bddbc4c5df61d5b3297b4fb68dab9" + "f1b582c2",
  },
  {
    source: "AUTH512-1",
    hash: "sha512",
    key: "0b".repeat(64),
    data: text("Hi There"),
    expected:
      "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8ac2878ebd5803f6f0b61dbce" +
      "5e251ff8789a4722c1be65aea45fd464e89f8f5b",
  },
  {
    source: "AUTH256-2",
    hash: "sha256",
    key: text("Jefe").repeat(8),
    data: text("what do ya want for nothing?"),
    expected: "167f928588c5cc2eef8e3093caa0e87c9ff566a14794aa61648d81621a2a40c6",
  },
  {
    source: "AUTH384-2",
    hash: "sha384",
    key: text("Jefe").repeat(12),
    data: text("what do ya want for nothing?"),
    expected:
      "2c7353974f1842fd66d53c452ca42122b28c0b594cfb184da86a368e9b8e16f5349524ca4e82400cbde0686d" + "403371c9",
  },
  {
    source: "AUTH512-2",
    hash: "sha512",
    key: text("Jefe").repeat(16),
    data: text("what do ya want for nothing?"),
    expected:
      "cb370917ae8a7ce28cfd1d8f4705d6141c173b2a9362c15df235dfb251b154546aa334ae9fb9afc2184932d8" +
      "695e397bfa0ffb93466cfcceaae38c833b7dba38",
  },
];
