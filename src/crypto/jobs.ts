/**
 * Slow work that leaves the IKE machine and comes back as an input. A private key never shows its octets: it is whatever
 * the provider that made it understands.
 */
export type ComputeJob =
  | { readonly kind: "generate-key-pair"; readonly group: number }
  /** All that a responder does who has heard the initiator's value. One that is no good for certain costs no key pair. */
  | { readonly kind: "respond"; readonly group: number; readonly peerPublicValue: Uint8Array }
  | {
      readonly kind: "agree";
      readonly group: number;
      readonly privateKey: PrivateKey;
      /** Key Exchange Data as it came from the peer; checked by the provider (length, range, point on curve, all-zero result). */
      readonly peerPublicValue: Uint8Array;
    };

export type ComputeResult =
  | { readonly kind: "key-pair"; readonly publicValue: Uint8Array; readonly privateKey: PrivateKey }
  | { readonly kind: "shared-secret"; readonly sharedSecret: Uint8Array }
  | { readonly kind: "response"; readonly publicValue: Uint8Array; readonly sharedSecret: Uint8Array }
  | { readonly kind: "failed"; readonly reason: string };

declare const privateKeyBrand: unique symbol;
export type PrivateKey = { readonly [privateKeyBrand]: true };

/** Runs jobs: with node:crypto in the daemon, with something cheap and seeded in the simulator. Never rejects. */
export interface CryptoProvider {
  run(job: ComputeJob): Promise<ComputeResult>;
}
