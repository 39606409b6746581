import type { KeyObject } from "node:crypto";
import type { EapSession, EapStep } from "../eap/session.ts";
import type { Credential } from "../pki/credential.ts";
import type { ClaimedIdentity } from "../pki/identity-match.ts";
import type { TrustPolicy } from "../pki/trust.ts";

/** Work on who somebody is, which leaves the IKE machine and comes back as an input: it is slow, or asks others. */
export type AuthenticationJob =
  | {
      readonly kind: "sign";
      readonly credential: Pick<Credential, "key" | "keyType">;
      /** From `signedOctets`. */
      readonly octets: Uint8Array;
      /** SIGNATURE_HASH_ALGORITHMS of the peer; empty when it announced none. */
      readonly hashes: readonly number[];
    }
  | {
      readonly kind: "verify";
      /** DER, as the peer sent them, its own first. */
      readonly certificates: readonly Uint8Array[];
      readonly trust: TrustPolicy;
      /** What the peer says it is, and its certificate has to say too. */
      readonly identity: ClaimedIdentity;
      readonly authentication: { readonly method: number; readonly data: Uint8Array };
      readonly octets: Uint8Array;
      /** Whether AUTH method 1 may be made with SHA-1. */
      readonly allowsSha1: boolean;
    }
  | {
      readonly kind: "verify-raw-key";
      /** SubjectPublicKeyInfo as the peer sent it; undefined when it sent none. */
      readonly sent: Uint8Array | undefined;
      /** It has to have one of these. */
      readonly keys: readonly KeyObject[];
      readonly authentication: { readonly method: number; readonly data: Uint8Array };
      readonly octets: Uint8Array;
      readonly allowsSha1: boolean;
    }
  | { readonly kind: "eap"; readonly session: EapSession; readonly packet: Uint8Array };

export type AuthenticationResult =
  | { readonly kind: "signature"; readonly method: number; readonly data: Uint8Array }
  /** `note` is for the log: what could not be found out, and was let pass. */
  | { readonly kind: "verified"; readonly note?: string | undefined }
  | { readonly kind: "eap-step"; readonly step: EapStep }
  /** `reason` is for the log. */
  | { readonly kind: "failed"; readonly reason: string };
