import { generateKeyPairSync } from "node:crypto";

export const WIREGUARD_PORT = 51_820;

/** 32 octets each. */
export interface WireguardKeys {
  readonly privateKey: Buffer;
  readonly publicKey: Buffer;
}

export function generateWireguardKeys(): WireguardKeys {
  const { privateKey, publicKey } = generateKeyPairSync("x25519");
  // Both encodings end with the key itself (RFC 8410).
  return {
    privateKey: privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32),
    publicKey: publicKey.export({ format: "der", type: "spki" }).subarray(-32),
  };
}
