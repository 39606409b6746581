import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const OPENSSL = "/usr/bin/openssl";

/** PEM texts: a root, a key, and its certificate with the intermediates above it. */
export interface LongChain {
  readonly root: string;
  readonly key: string;
  readonly chain: string;
}

/** A certificate for a domain name with so many intermediates above it, all RSA, by openssl: a root, then each by the one before. */
export function makeLongChain(domain: string, intermediateCount: number): LongChain {
  const directory = mkdtempSync(join(tmpdir(), "long-chain-"));
  const file = (name: string): string => join(directory, name);
  const openssl = (...words: readonly string[]): void => {
    const { status, stderr } = spawnSync(OPENSSL, words, { cwd: directory, encoding: "utf8" });
    if (status !== 0) throw new Error(`openssl ${words.join(" ")}: ${stderr}`);
  };
  try {
    writeFileSync(file("ca.ext"), "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n");
    writeFileSync(
      file("leaf.ext"),
      `keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:${domain}\n`,
    );
    const names = [
      "root",
      ...Array.from({ length: intermediateCount }, (_, i) => `intermediate${i}`),
      "leaf",
    ];
    for (const [i, name] of names.entries()) {
      const issuer = names[i - 1];
      const subject = `/O=An organisation with a rather long name/CN=${name}`;
      openssl("genrsa", "-out", `${name}.key`, "2048");
      openssl("req", "-new", "-key", `${name}.key`, "-subj", subject, "-out", `${name}.csr`);
      const signer =
        issuer === undefined ? ["-signkey", "root.key"] : ["-CA", `${issuer}.pem`, "-CAkey", `${issuer}.key`];
      const extensions = name === "leaf" ? "leaf.ext" : "ca.ext";
      openssl(
        ...["x509", "-req", "-in", `${name}.csr`, ...signer, "-set_serial", String(i + 1), "-days", "30"],
        ...["-sha256", "-extfile", extensions, "-out", `${name}.pem`],
      );
    }
    const text = (name: string): string => readFileSync(file(name), "utf8");
    const chain = names
      .slice(1)
      .reverse()
      .map((name) => text(`${name}.pem`))
      .join("");
    return { root: text("root.pem"), key: text("leaf.key"), chain };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
