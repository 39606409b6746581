import { createPublicKey, type KeyObject } from "node:crypto";
import { equal } from "../bytes/constant-time.ts";
import { readBlocks, refusal } from "./certificate-files.ts";
import { publicKeyInfo } from "./certificate-writer.ts";
import { faultOfKey } from "./public-keys.ts";

/** Contents of a CERT payload with a raw public key (RFC 7670 section 3): SubjectPublicKeyInfo in DER. */
export function encodeRawPublicKey(key: KeyObject): Uint8Array {
  return publicKeyInfo(key.type === "private" ? createPublicKey(key) : key);
}

/** The key among the `trusted` that a peer shows, or undefined. What it sent is compared, never parsed. */
export function findRawPublicKey(sent: Uint8Array, trusted: readonly KeyObject[]): KeyObject | undefined {
  return trusted.find((key) => equal(publicKeyInfo(key), sent));
}

/** Public keys of a PEM text ("-----BEGIN PUBLIC KEY-----"); `file` is how messages name it. Throws PolicyError (code "CREDENTIAL"). */
export function readPublicKeys(pem: string, file: string): KeyObject[] {
  const blocks = readBlocks(pem, file).filter(({ label }) => label === "PUBLIC KEY");
  if (blocks.length === 0) throw refusal(`${file} holds no public key`);
  return blocks.map(({ text }) => {
    const key = createKey(text, file);
    const fault = faultOfKey(key);
    if (fault !== undefined) throw refusal(`${file}: ${fault}`);
    return key;
  });
}

function createKey(text: string, file: string): KeyObject {
  try {
    return createPublicKey(text);
  } catch {
    throw refusal(`${file} holds a public key that cannot be read`);
  }
}
