import type { EapSession } from "../eap/session.ts";
import { findRawPublicKey } from "../pki/raw-public-key.ts";
import { signAuth } from "../pki/sign-auth.ts";
import { faultOfSignature } from "../pki/verify-auth.ts";
import { verifyChain } from "../pki/verify-chain.ts";
import type { AuthenticationJob, AuthenticationResult } from "./jobs.ts";

/** Does the work that the IKE machine sends out about who somebody is. Signatures are made on threads of libuv's. */
export class Authenticator {
  readonly #wallClock: () => number;

  /** `wallClock`: milliseconds since 1970, for what certificates say about time. */
  constructor(wallClock: () => number) {
    this.#wallClock = wallClock;
  }

  /** What is there at once comes at once. A promise never rejects. */
  run(job: AuthenticationJob): AuthenticationResult | Promise<AuthenticationResult> {
    try {
      const result = this.#start(job);
      return result instanceof Promise ? result.catch(failed) : result;
    } catch (error) {
      return failed(error);
    }
  }

  #start(job: AuthenticationJob): AuthenticationResult | Promise<AuthenticationResult> {
    switch (job.kind) {
      case "sign":
        return signAuth(job).then(({ method, data }) => ({ kind: "signature", method, data }));
      case "verify":
        return this.#verify(job);
      case "verify-raw-key":
        return verifyRawKey(job);
      case "eap":
        return takeStep(job.session, job.packet);
    }
  }

  /** Whoever does not own the key makes nobody ask about revocation. */
  #verify(
    job: Extract<AuthenticationJob, { kind: "verify" }>,
  ): AuthenticationResult | Promise<AuthenticationResult> {
    const { certificates, trust, identity, authentication, octets, allowsSha1 } = job;
    const nowMs = this.#wallClock();
    const verdict = verifyChain({ certificates, trust, identity, nowMs });
    if (verdict.kind === "refused") return { kind: "failed", reason: verdict.reason };
    const { publicKey } = verdict;
    const fault = faultOfSignature({ publicKey, ...authentication, octets, allowsSha1 });
    if (fault !== undefined) return { kind: "failed", reason: fault };
    if (trust.revocation === undefined) return { kind: "verified" };
    return trust.revocation
      .check(verdict.path, nowMs)
      .then((answer) =>
        answer.kind === "accepted"
          ? { kind: "verified", note: answer.note }
          : { kind: "failed", reason: answer.reason },
      );
  }
}

function verifyRawKey({
  sent,
  keys,
  ...claim
}: Extract<AuthenticationJob, { kind: "verify-raw-key" }>): AuthenticationResult {
  const shown = sent === undefined ? undefined : findRawPublicKey(sent, keys);
  if (sent !== undefined && shown === undefined) return failed("its public key is not one that is trusted");
  const candidates = shown === undefined ? keys : [shown];
  const { authentication, octets, allowsSha1 } = claim;
  const faults = candidates.map((publicKey) =>
    faultOfSignature({ publicKey, ...authentication, octets, allowsSha1 }),
  );
  return faults.includes(undefined) ? { kind: "verified" } : failed(faults[0]);
}

function takeStep(
  session: EapSession,
  packet: Uint8Array,
): AuthenticationResult | Promise<AuthenticationResult> {
  const step = session.receive(packet);
  if (!(step instanceof Promise)) return { kind: "eap-step", step };
  return step.then((taken) => ({ kind: "eap-step", step: taken }));
}

function failed(error: unknown): AuthenticationResult {
  return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
}
