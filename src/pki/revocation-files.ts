import { WireError } from "../errors/index.ts";
import { readBlocks, refusal } from "./certificate-files.ts";
import { type RevocationList, readRevocationList } from "./crl.ts";

/** The CRLs that a file holds, in PEM or DER; `file` is how messages name it. Throws PolicyError (code "CREDENTIAL"). */
export function readRevocationLists(octets: Uint8Array, file: string): RevocationList[] {
  const text = Buffer.from(octets).toString("latin1");
  const blocks = text.includes("-----BEGIN ")
    ? readBlocks(text, file).filter(({ label }) => label === "X509 CRL")
    : [{ der: octets }];
  if (blocks.length === 0) throw refusal(`${file} holds no CRL (in PEM, "-----BEGIN X509 CRL-----")`);
  try {
    return blocks.map(({ der }) => readRevocationList(der));
  } catch (error) {
    if (error instanceof WireError) throw refusal(`${file}: ${error.message}`);
    throw error;
  }
}
