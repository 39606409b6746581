import { PolicyError, WireError } from "../errors/index.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { type PemBlock, readPem } from "./pem.ts";

/** All certificates of a PEM text; `file` is how messages name it. Throws PolicyError (code "CREDENTIAL"). */
export function readCertificates(pem: string, file: string): Certificate[] {
  const blocks = readBlocks(pem, file).filter(({ label }) => /^(X509 |TRUSTED )?CERTIFICATE$/.test(label));
  if (blocks.length === 0)
    throw refusal(`${file} holds no certificate (in PEM, "-----BEGIN CERTIFICATE-----")`);
  return blocks.map(({ der }, i) => {
    try {
      return readCertificate(der);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      throw refusal(`${file}: certificate ${i + 1} of ${blocks.length} cannot be read: ${error.message}`);
    }
  });
}

/** Blocks of a PEM text. Throws PolicyError (code "CREDENTIAL") that names the file. */
export function readBlocks(pem: string, file: string): PemBlock[] {
  try {
    return readPem(pem);
  } catch (error) {
    if (error instanceof PolicyError) throw refusal(`${file}: ${error.message}`);
    throw error;
  }
}

export function refusal(message: string): PolicyError {
  return new PolicyError(message, { code: "CREDENTIAL" });
}
