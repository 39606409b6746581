import { generateKeyPairSync, type KeyObject } from "node:crypto";

/** Keys that tests sign with, made once for a file that asks. */
export interface SigningKeys {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export type SigningKeyName = "rsa" | "p256" | "p384" | "p521" | "ed25519" | "ed448";

const CURVE = { p256: "prime256v1", p384: "secp384r1", p521: "secp521r1" } as const;

export function signingKeys(name: SigningKeyName): SigningKeys {
  const known = made.get(name);
  if (known !== undefined) return known;
  const keys = generate(name);
  made.set(name, keys);
  return keys;
}

const made = new Map<SigningKeyName, SigningKeys>();

function generate(name: SigningKeyName): SigningKeys {
  if (name === "rsa") return generateKeyPairSync("rsa", { modulusLength: 2048 });
  if (name === "ed25519") return generateKeyPairSync("ed25519");
  if (name === "ed448") return generateKeyPairSync("ed448");
  return generateKeyPairSync("ec", { namedCurve: CURVE[name] });
}
