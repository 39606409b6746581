import { type Credential, type CredentialFiles, readCredential } from "../pki/credential.ts";
import { systemTrustAnchors } from "../pki/trust-anchors.ts";
import type { LocalAuthentication } from "../policy/connection.ts";
import { type FilesObserver, LiveFiles } from "./live-files.ts";
import { textOf } from "./text-file.ts";

/** Certificates of ours that are renewed while we run. */
export class LiveCertificates implements Extract<LocalAuthentication, { kind: "certificate" }> {
  readonly kind = "certificate";
  readonly files: readonly CredentialFiles[];
  readonly #live: LiveFiles<readonly Credential[]>;

  /** Throws PolicyError that says which file is wrong and why. */
  constructor(files: readonly CredentialFiles[], lookEveryMs?: number) {
    this.files = files;
    const paths = files.flatMap(({ certificate, key, passphrase }) => [
      certificate,
      key,
      ...(passphrase === undefined ? [] : [passphrase]),
    ]);
    this.#live = new LiveFiles(paths, () => files.map(read), lookEveryMs);
  }

  /** Each is whole: its chain and its key belong together. */
  get credentials(): readonly Credential[] {
    return this.#live.current;
  }

  observe(observer: FilesObserver): void {
    this.#live.observe(observer);
  }
}

function read(files: CredentialFiles): Credential {
  return readCredential({
    certificates: textOf(files.certificate),
    key: textOf(files.key),
    passphrase: files.passphrase === undefined ? undefined : textOf(files.passphrase).split(/\r?\n/, 1)[0],
    files,
    roots: systemTrustAnchors(),
  });
}
