import { wipe } from "../bytes/wipe.ts";
import { md4 } from "./md4.ts";

/**
 * NtPasswordHash (RFC 2759 section 8.3): MD4 over the password in UTF-16, 16 octets. Whoever has it can log in: it is a secret as
 * the password itself.
 */
export function ntHash(password: string): Uint8Array {
  const text = new Uint8Array(2 * password.length);
  for (let i = 0; i < password.length; i++) {
    const unit = password.charCodeAt(i);
    text[2 * i] = unit;
    text[2 * i + 1] = unit >>> 8;
  }
  const hash = md4(text);
  wipe(text);
  return hash;
}
