import { generateKeyPairSync } from "node:crypto";

export const WIREGUARD_PORT = 51_820;

/** 32 octets each. */
export interface WireguardKeys {
  readonly privateKey: Buffer;
  readonly publicKey: Buffer;
}

export function generateWireguardKeys(): WireguardKeys {
  const { d, x } = generateKeyPairSync("x25519").privateKey.export({ format: "jwk" });
  return { privateKey: Buffer.from(d!, "base64url"), publicKey: Buffer.from(x!, "base64url") };
}
