import { readFile } from "node:fs/promises";
import { WireError } from "../errors/index.ts";
import { readBlocks, readText, refusal } from "./certificate-files.ts";
import { type RevocationList, readRevocationList } from "./crl.ts";

/** The CRLs in files, in PEM or DER. Rejects with PolicyError (code "CREDENTIAL") that says which file is wrong and why. */
export async function loadRevocationLists(files: readonly string[]): Promise<RevocationList[]> {
  const lists = await Promise.all(files.map(loadFile));
  return lists.flat();
}

async function loadFile(file: string): Promise<RevocationList[]> {
  const text = await readText(file);
  const blocks = text.includes("-----BEGIN ")
    ? readBlocks(text, file).filter(({ label }) => label === "X509 CRL")
    : [{ der: new Uint8Array(await readFile(file)) }];
  if (blocks.length === 0) throw refusal(`${file} holds no CRL (in PEM, "-----BEGIN X509 CRL-----")`);
  try {
    return blocks.map(({ der }) => readRevocationList(der));
  } catch (error) {
    if (error instanceof WireError) throw refusal(`${file}: ${error.message}`);
    throw error;
  }
}
