import { PolicyError } from "../errors/index.ts";

/** One block of a PEM file (RFC 7468). */
export interface PemBlock {
  /** Such as "CERTIFICATE" or "PRIVATE KEY". */
  readonly label: string;
  readonly der: Uint8Array;
  /** The block as it stands, for what OpenSSL reads itself. */
  readonly text: string;
}

/** All blocks of a file, in order; text between them is passed over. Throws PolicyError (code "PEM") for a block that is broken. */
export function readPem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  for (const [whole, label, body] of text.matchAll(BLOCK)) {
    // RFC 1421 headers, such as those of an old encrypted key, end in an empty line.
    const base64 = body!.replace(/^([\w-]+:[^\n]*\n([ \t][^\n]*\n)*)+\s*\n/, "").replace(/\s+/g, "");
    if (base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64))
      throw new PolicyError(`the ${label} block is not base64`, { code: "PEM" });
    blocks.push({ label: label!, der: new Uint8Array(Buffer.from(base64, "base64")), text: whole });
  }
  const begun = text.match(/^-----BEGIN /gm)?.length ?? 0;
  if (begun !== blocks.length)
    throw new PolicyError("a block begins and does not end as it began", { code: "PEM" });
  return blocks;
}

/** A PEM block of DER octets. */
export function writePem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

const BLOCK = /^-----BEGIN ([A-Z0-9 ]+)-----\s*?\n([\s\S]*?)^-----END \1-----\s*?$/gm;
