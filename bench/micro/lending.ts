import type { LentCiphers } from "../../src/platform/native-ciphers/lent-ciphers.ts";

/** Whose instructions a kernel's ciphers run on. */
export interface Lender {
  readonly title: string;
  /** Whether the kernel is lent something, as in a daemon. */
  readonly lends: boolean;
}

const PROCESSOR: Lender = { title: "the processor's", lends: true };
const WEB_ASSEMBLY: Lender = { title: "WebAssembly's", lends: false };

/** Both, where this machine lends anything for the cipher. */
export function lendersFor(cipher: string, lent: LentCiphers): readonly Lender[] {
  return isLent(cipher, lent) ? [PROCESSOR, WEB_ASSEMBLY] : [WEB_ASSEMBLY];
}

/** Of ciphers that are not AES only ChaCha20 is there. */
export function isLent(cipher: string, { aes, chaCha20 }: LentCiphers): boolean {
  return (cipher === "chacha20-poly1305" ? chaCha20 : aes) !== undefined;
}
