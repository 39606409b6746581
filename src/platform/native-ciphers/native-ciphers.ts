import type { SharedMemory } from "../system-calls/system-calls.ts";
import type { LentCiphers } from "./lent-ciphers.ts";
import { openProcessorAes } from "./openssl-aes.ts";
import { openNativeChaCha20 } from "./openssl-chacha20.ts";

/** What the runtime's OpenSSL can lend the kernel of the calling thread on this machine. `onRefusal` is told, in a sentence, of what fails. */
export function openNativeCiphers(
  memory: SharedMemory,
  onRefusal: (what: string) => void = () => {},
): LentCiphers {
  return { aes: openProcessorAes(memory, onRefusal), chaCha20: openNativeChaCha20(memory) };
}
