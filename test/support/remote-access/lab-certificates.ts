import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority, generateKeys, issue, type NewKey } from "../../../src/pki/authority.ts";
import { writePem } from "../../../src/pki/pem.ts";

/** A CA and what it has issued, as PEM files in a directory: "ca.pem", "NAME.pem" and "NAME.key". */
export interface LabCertificates {
  readonly directory: string;
  /** The text of a file. */
  readonly files: Readonly<Record<string, string>>;
  remove(): void;
}

interface Wanted {
  readonly name: string;
  readonly altName: string;
  readonly purpose: "server" | "client";
  readonly kind: NewKey;
}

export async function makeLabCertificates(wanted: readonly Wanted[]): Promise<LabCertificates> {
  const nowMs = Date.now();
  const authority = createAuthority({ name: "CN=Lab CA", keys: await generateKeys("p256"), nowMs });
  const files: Record<string, string> = { "ca.pem": writePem("CERTIFICATE", authority.certificate) };
  for (const { name, altName, purpose, kind } of wanted) {
    const keys = await generateKeys(kind);
    const issued = issue(authority, { purpose, name: `CN=${altName}`, altNames: [altName], keys, nowMs });
    files[`${name}.pem`] = writePem("CERTIFICATE", issued.certificate);
    files[`${name}.key`] = keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  }
  const directory = mkdtempSync(join(tmpdir(), "remote-access-"));
  for (const [file, text] of Object.entries(files)) {
    writeFileSync(join(directory, file), text, { mode: 0o600 });
  }
  return { directory, files, remove: () => rmSync(directory, { recursive: true, force: true }) };
}
