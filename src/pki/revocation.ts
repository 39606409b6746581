import { createHash, randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import { BoundedCache } from "./bounded-cache.ts";
import { type Certificate, describeCertificate } from "./certificate.ts";
import {
  faultOfList,
  MAXIMUM_LIST_LENGTH,
  type RevocationList,
  readRevocationList,
  statusInList,
} from "./crl.ts";
import { fetchHttp } from "./fetch-http.ts";
import { buildOcspRequest, statusInResponse } from "./ocsp.ts";
import type { RevocationStatus } from "./revocation-status.ts";

export interface RevocationPolicy {
  /**
   * What becomes of a certificate of which nobody can say whether it was revoked: "strict" refuses it, "relaxed" takes it, and says so
   * where there was somebody to ask.
   */
  readonly mode: "strict" | "relaxed";
  /** Lists from files, as they are by now. */
  readonly lists: { readonly current: readonly RevocationList[] };
  /** Whether the responders and lists that certificates name are asked, over http. */
  readonly isOnline: boolean;
  /** Whether they may stand at addresses that are not public. */
  readonly allowsPrivateAddresses: boolean;
  /** For all questions about one certificate. */
  readonly timeoutMs: number;
}

export type RevocationVerdict =
  /** `note` says, for the log, why a certificate was taken of which nobody could say anything. */
  | { readonly kind: "accepted"; readonly note: string | undefined }
  | { readonly kind: "refused"; readonly reason: string };

/** An answer is not asked for again for so long, even if it says that it is good for longer. */
const KEPT_MS = 3_600_000;
/** Nor is one that did not come, so that logins do not wait for a dead responder again and again. */
const FAILURE_KEPT_MS = 60_000;
const MAXIMUM_STATUSES = 4096;
const MAXIMUM_LISTS_LENGTH = 16 * 1024 * 1024;
/** Questions on their way at once; more peers than that are told apart by no responder in time. */
const MAXIMUM_QUESTIONS = 32;
const MAXIMUM_URIS = 2;
const MAXIMUM_RESPONSE_LENGTH = 32 * 1024;
const NONCE_LENGTH = 16;

/** Finds out whether certificates have been revoked, and remembers it for a while. What it remembers is bounded. */
export class RevocationChecker {
  readonly policy: RevocationPolicy;
  readonly #statuses = new BoundedCache<RevocationStatus>(MAXIMUM_STATUSES);
  readonly #lists = new BoundedCache<RevocationList>(MAXIMUM_LISTS_LENGTH);
  readonly #underway = new Map<string, Promise<RevocationStatus>>();

  constructor(policy: RevocationPolicy) {
    this.policy = policy;
  }

  /**
   * `path` comes from a verdict of `verifyChain`: a certificate that is not verified could make us ask anybody anything. It is walked from
   * the anchor down, so that what a revoked CA wrote into certificates is not followed either. Never rejects.
   */
  async check(path: readonly Certificate[], nowMs: number): Promise<RevocationVerdict> {
    let note: string | undefined;
    for (let i = path.length - 2; i >= 0; i--) {
      const certificate = path[i]!;
      const status = await this.#status(certificate, path[i + 1]!, nowMs);
      const name = describeCertificate(certificate);
      if (status.kind === "revoked") return { kind: "refused", reason: `${name} was revoked` };
      if (status.kind === "good") continue;
      const reason = `${name}: nobody says whether it was revoked: ${status.reason}`;
      if (this.policy.mode === "strict") return { kind: "refused", reason };
      if (this.#hasSomebodyToAsk(certificate)) note ??= reason;
    }
    return { kind: "accepted", note };
  }

  #hasSomebodyToAsk({ issuer, extensions }: Certificate): boolean {
    const { ocspUris = [], crlUris = [] } = extensions;
    if (this.policy.isOnline && ocspUris.length + crlUris.length > 0) return true;
    return this.policy.lists.current.some((list) => list.issuer.canonical === issuer.canonical);
  }

  async #status(certificate: Certificate, issuer: Certificate, nowMs: number): Promise<RevocationStatus> {
    const fromFiles = this.#statusInFiles(certificate, issuer, nowMs);
    if (fromFiles.kind !== "unknown" || !this.policy.isOnline) return fromFiles;
    const key = digest(certificate.der, issuer.publicKeyInfo);
    const known = this.#statuses.get(key, nowMs) ?? this.#underway.get(key);
    if (known !== undefined) return known;
    if (this.#underway.size >= MAXIMUM_QUESTIONS)
      return { kind: "unknown", reason: "too many questions are waiting for answers" };
    const question = this.#ask(certificate, issuer, nowMs).finally(() => this.#underway.delete(key));
    this.#underway.set(key, question);
    const status = await question;
    this.#statuses.set(key, status, { nowMs, untilMs: endOf(status, nowMs), size: 1 });
    return status;
  }

  #statusInFiles(certificate: Certificate, issuer: Certificate, nowMs: number): RevocationStatus {
    let reason = "there is no CRL of its issuer";
    for (const list of this.policy.lists.current) {
      if (list.issuer.canonical !== issuer.subject.canonical) continue;
      const fault = faultOfList(list, issuer);
      const status = fault === undefined ? statusInList(list, certificate, nowMs) : unknown(fault);
      if (status.kind !== "unknown") return status;
      reason = status.reason;
    }
    return unknown(reason);
  }

  /** The first that knows settles it: responders, then lists. */
  async #ask(certificate: Certificate, issuer: Certificate, nowMs: number): Promise<RevocationStatus> {
    const { ocspUris = [], crlUris = [] } = certificate.extensions;
    const deadline = performance.now() + this.policy.timeoutMs;
    const questions = [
      ...ocspUris
        .slice(0, MAXIMUM_URIS)
        .map((uri) => () => this.#askResponder(uri, certificate, issuer, nowMs, deadline)),
      ...crlUris
        .slice(0, MAXIMUM_URIS)
        .map((uri) => () => this.#askList(uri, certificate, issuer, nowMs, deadline)),
    ];
    let status = unknown("it names neither a responder nor a CRL that is reached by http");
    for (const ask of questions) {
      status = await ask().catch(reasonOf);
      if (status.kind !== "unknown") break;
    }
    return status;
  }

  async #askResponder(
    uri: string,
    certificate: Certificate,
    issuer: Certificate,
    nowMs: number,
    deadline: number,
  ): Promise<RevocationStatus> {
    const nonce = new Uint8Array(randomBytes(NONCE_LENGTH));
    const octets = buildOcspRequest(certificate, issuer, nonce);
    const body = { type: "application/ocsp-request", octets };
    const response = await this.#fetch(uri, MAXIMUM_RESPONSE_LENGTH, deadline, body);
    const status = statusInResponse({ response, certificate, issuer, nonce, nowMs });
    return status.kind === "unknown" ? unknown(`${uri}: ${status.reason}`) : status;
  }

  async #askList(
    uri: string,
    certificate: Certificate,
    issuer: Certificate,
    nowMs: number,
    deadline: number,
  ): Promise<RevocationStatus> {
    const key = digest(Buffer.from(uri), issuer.publicKeyInfo);
    const kept = this.#lists.get(key, nowMs);
    if (kept !== undefined) return statusInList(kept, certificate, nowMs);
    const list = readRevocationList(await this.#fetch(uri, MAXIMUM_LIST_LENGTH, deadline));
    const fault = faultOfList(list, issuer);
    if (fault !== undefined) return unknown(fault);
    const untilMs = Math.min(nowMs + KEPT_MS, list.nextUpdateMs ?? nowMs);
    this.#lists.set(key, list, { nowMs, untilMs, size: list.length });
    return statusInList(list, certificate, nowMs);
  }

  #fetch(
    uri: string,
    maximumLength: number,
    deadline: number,
    body?: { readonly type: string; readonly octets: Uint8Array },
  ): Promise<Uint8Array> {
    const { allowsPrivateAddresses } = this.policy;
    const timeoutMs = Math.max(1, Math.round(deadline - performance.now()));
    return fetchHttp({ uri, maximumLength, timeoutMs, allowsPrivateAddresses, ...(body && { body }) });
  }
}

function endOf(status: RevocationStatus, nowMs: number): number {
  if (status.kind === "unknown") return nowMs + FAILURE_KEPT_MS;
  const untilMs = status.kind === "good" ? (status.untilMs ?? nowMs) : Number.POSITIVE_INFINITY;
  return Math.min(nowMs + KEPT_MS, untilMs);
}

/** Whatever goes wrong on the way to an answer, there is none, and the policy says what that means. */
function reasonOf(error: unknown): RevocationStatus {
  return unknown(error instanceof Error ? error.message : String(error));
}

function unknown(reason: string): RevocationStatus {
  return { kind: "unknown", reason };
}

function digest(...parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("base64");
}
