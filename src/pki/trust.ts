import type { KeyObject } from "node:crypto";
import type { Certificate } from "./certificate.ts";
import type { RevocationChecker } from "./revocation.ts";
import type { TrustAnchors } from "./trust-anchors.ts";

/** What the peer is to us, which settles what its certificate has to be for: "peer" is either, as between two gateways. */
export type Purpose = "server" | "client" | "peer";

/** When a peer's certificate counts. */
export interface TrustPolicy {
  readonly anchors: TrustAnchors;
  readonly purpose: Purpose;
  /** Whether a common name is good for a domain name, in a certificate without alternative names. Undefined is false. */
  readonly allowsCommonName?: boolean;
  /** Asked once the chain and AUTH are verified. Undefined asks nobody. */
  readonly revocation?: RevocationChecker;
}

export type ChainVerdict =
  | {
      readonly kind: "trusted";
      /** What AUTH is to be verified with. */
      readonly publicKey: KeyObject;
      /** From the peer's own certificate to the trust anchor; one alone where that is the anchor. */
      readonly path: readonly Certificate[];
      /** For the log: what could not be found out, and was let pass. */
      readonly note?: string | undefined;
    }
  /** For the log: names the certificate and the fact. */
  | { readonly kind: "refused"; readonly reason: string };
