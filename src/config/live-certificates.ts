import { statSync } from "node:fs";
import { type Credential, type CredentialFiles, readCredential } from "../pki/credential.ts";
import { systemTrustAnchors } from "../pki/trust-anchors.ts";
import type { LocalAuthentication } from "../policy/connection.ts";
import { textOf } from "./text-file.ts";

/** Files are looked at no more often than this. */
const LOOK_EVERY_MS = 1_000;

/**
 * Certificates of ours that are renewed while we run: who asks for them gets what the files hold by then. What cannot be read whole changes
 * nothing. Two for the same files are the same to whoever compares configurations.
 */
export class LiveCertificates implements Extract<LocalAuthentication, { kind: "certificate" }> {
  readonly kind = "certificate";
  readonly files: readonly CredentialFiles[];
  #credentials: readonly Credential[];
  /** State of the files that `#credentials` were read from, or that were found to be no good. */
  #seen: string;
  readonly #lookEveryMs: number;
  #lookedAt = performance.now();

  /** Throws PolicyError that says which file is wrong and why. */
  constructor(files: readonly CredentialFiles[], lookEveryMs = LOOK_EVERY_MS) {
    this.files = files;
    this.#lookEveryMs = lookEveryMs;
    this.#seen = stateOf(files);
    this.#credentials = files.map(read);
  }

  /** Each is whole: its chain and its key belong together. */
  get credentials(): readonly Credential[] {
    const now = performance.now();
    if (now - this.#lookedAt >= this.#lookEveryMs) {
      this.#lookedAt = now;
      this.#look();
    }
    return this.#credentials;
  }

  #look(): void {
    const state = stateOf(this.files);
    if (state === this.#seen) return;
    this.#seen = state;
    try {
      this.#credentials = this.files.map(read);
    } catch {
      // One of two files is new, and the other one comes; or `ikebana check` says what is wrong.
    }
  }
}

function read(files: CredentialFiles): Credential {
  return readCredential({
    certificates: textOf(files.certificate),
    key: textOf(files.key),
    passphrase: undefined,
    files,
    roots: systemTrustAnchors(),
  });
}

/** Of what the names lead to, links followed. */
function stateOf(files: readonly CredentialFiles[]): string {
  const paths = files.flatMap(({ certificate, key }) => [certificate, key]);
  const states = paths.map((path) => {
    const status = statSync(path, { throwIfNoEntry: false });
    return status === undefined ? "" : [status.ino, status.size, status.mtimeMs, status.ctimeMs].join(":");
  });
  return states.join(" ");
}
