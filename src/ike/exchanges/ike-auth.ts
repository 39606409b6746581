import type { AuthenticationJob } from "../../auth/jobs.ts";
import { NotifyType } from "../../iana/ikev2-parameters.ts";
import type { Credential } from "../../pki/credential.ts";
import type { ConnectionPolicy, Identity } from "../../policy/connection.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import type { Closing } from "../answer.ts";
import { authByKey, ownOctets } from "../auth-payload.ts";
import { certificatePayloads, rawKeyPayload } from "../certificates.ts";
import type { IkeSa } from "../ike-sa.ts";
import type { Authenticating } from "../ike-sa-state.ts";
import { notify } from "../payloads.ts";

// IKE_AUTH, RFC 7296 sections 1.2, 2.15 and 2.16. Each side shows who it is in its own way, by a pre-shared key, by certificates or by a
// public key that the other side knows (RFC 7670):
//
//   --> HDR, SK { IDi, [CERT+], [N(INITIAL_CONTACT)], [CERTREQ], [IDr], AUTH, [CP(CFG_REQUEST)], SAi2, TSi, TSr }
//   <-- HDR, SK { IDr, [CERT+], AUTH, [CP(CFG_REPLY)], SAr2, TSi, TSr }    or { IDr, AUTH, N } without a child SA
//
// Without SAi2, TSi and TSr it makes the IKE SA alone (RFC 6023); children come by CREATE_CHILD_SA.
//
//   <-- HDR, SK { N(AUTHENTICATION_FAILED) }
//
// PPK_IDENTITY and NO_PPK_AUTH beside AUTH are explained in `../ppk.ts`.
//
// An initiator that leaves out AUTH wants to log in by EAP, behind the responder's AUTH or, with EAP_ONLY_AUTHENTICATION and a method
// that shows who the responder is, without it (RFC 5998):
//
//   --> HDR, SK { IDi, [CERTREQ], [IDr], [CP(CFG_REQUEST)], SAi2, TSi, TSr, [N(EAP_ONLY_AUTHENTICATION)] }
//   <-- HDR, SK { IDr, [CERT+, AUTH], EAP }
//   --> HDR, SK { EAP }                             and so on,
//   <-- HDR, SK { EAP }                             up to EAP-Success
//   --> HDR, SK { AUTH }                            both by the key that EAP has brought
//   <-- HDR, SK { AUTH, [CP(CFG_REPLY)], SAr2, TSi, TSr }
//
// `ike-auth-request.ts` is the responder and `ike-auth-response.ts` the initiator, each up to where EAP begins; `login-request.ts` and
// `login-response.ts` are the same for EAP. Signatures, certificates and EAP packets leave the machine as jobs: what was asked for may
// be over when they come back.

/** What we show with our identity: at once, or when a signature is there. */
export type Proof =
  | { readonly kind: "ready"; readonly auth: PayloadOf<"authentication"> }
  | { readonly kind: "job"; readonly job: AuthenticationJob; readonly certificates: readonly Payload[] }
  | { readonly kind: "none"; readonly reason: string };

/** `credential`: the one that the peer can verify. */
export function ownProof(
  ikeSa: IkeSa,
  state: Authenticating,
  {
    connection,
    credential,
  }: { readonly connection: ConnectionPolicy; readonly credential: Credential | undefined },
): Proof {
  const { identity, authentication } = connection.local;
  switch (authentication.kind) {
    case "psk": {
      const { key } = authentication;
      return { kind: "ready", auth: authByKey(ikeSa, state, { identity, key }) };
    }
    case "certificate": {
      if (credential === undefined)
        return { kind: "none", reason: "we have no certificate that the peer can verify" };
      const octets = ownOctets(ikeSa, state, identity);
      const job = { kind: "sign", credential, octets, hashes: ikeSa.signatureHashes } as const;
      return { kind: "job", job, certificates: certificatePayloads(credential) };
    }
    case "raw-key": {
      const octets = ownOctets(ikeSa, state, identity);
      const { key, keyType } = authentication;
      const job = {
        kind: "sign",
        credential: { key, keyType },
        octets,
        hashes: ikeSa.signatureHashes,
      } as const;
      return { kind: "job", job, certificates: [rawKeyPayload(key)] };
    }
    case "eap":
      return { kind: "none", reason: "we can only log in" };
  }
}

export interface Refusal {
  readonly notify: PayloadOf<"notify">;
  readonly closing: Closing;
}

/** `message` is for our log; the peer hears that it failed and nothing else. */
export function refuse(message: string): Refusal {
  return {
    notify: notify(NotifyType.AUTHENTICATION_FAILED),
    closing: { reason: "AUTHENTICATION_FAILED", message },
  };
}

export function identification(
  kind: "identification-initiator" | "identification-responder",
  { type, data }: Identity,
): Payload {
  return { kind, critical: false, idType: type, data };
}

export function identityOf(
  payload: PayloadOf<"identification-initiator"> | PayloadOf<"identification-responder">,
): Identity {
  return { type: payload.idType, data: payload.data };
}

/** Whether the SA is still where it was when a job left. */
export function isAwaiting(ikeSa: IkeSa, state: Authenticating): boolean {
  return ikeSa.state === state;
}
