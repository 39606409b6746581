import type { SharedMemory } from "../system-calls/system-calls.ts";
import type { LentAes } from "./lent-ciphers.ts";
import { type Call, loadOpenSsl, type OpenSsl } from "./openssl.ts";
import { hasAesInstructions } from "./processor.ts";

/** `intptr_t` is an address. */
const PROTOTYPES = {
  EVP_CIPHER_CTX_new: ["intptr_t"],
  EVP_CIPHER_CTX_free: ["void", "intptr_t"],
  EVP_CIPHER_CTX_reset: ["int", "intptr_t"],
  EVP_CIPHER_CTX_set_padding: ["int", "intptr_t", "int"],
  EVP_CipherInit_ex: ["int", "intptr_t", "intptr_t", "intptr_t", "intptr_t", "intptr_t", "int"],
  EVP_CipherUpdate: ["int", "intptr_t", "intptr_t", "intptr_t", "intptr_t", "int"],
  EVP_aes_128_ecb: ["intptr_t"],
  EVP_aes_192_ecb: ["intptr_t"],
  EVP_aes_256_ecb: ["intptr_t"],
} as const satisfies Record<string, readonly [result: string, ...parameters: string[]]>;

/**
 * AES of the OpenSSL that the runtime brings, in the processor's AES instructions, for the calling thread. Undefined where the processor
 * has none (then the kernel's own is as good, and surely takes the same time for every key), or where OpenSSL cannot be called; `onRefusal`
 * is told of that in a sentence, and of the first call that fails.
 */
export function openProcessorAes(
  memory: SharedMemory,
  onRefusal: (what: string) => void = () => {},
): LentAes | undefined {
  if (!hasAesInstructions()) return undefined;
  try {
    const openSsl = loadOpenSsl(PROTOTYPES);
    return new OpenSslAes(openSsl, openSsl.addressOf(new Uint8Array(memory.buffer)), onRefusal);
  } catch (cause) {
    onRefusal(`the processor's AES: the runtime's OpenSSL cannot be called: ${(cause as Error).message}`);
    return undefined;
  }
}

class OpenSslAes implements LentAes {
  readonly #openSsl: OpenSsl<keyof typeof PROTOTYPES>;
  readonly #base: number;
  readonly #onRefusal: (what: string) => void;
  readonly #ciphers: ReadonlyMap<number, number>;
  /** Contexts by place; 0 where a place never had a key. */
  readonly #contexts: number[] = [];
  /** Where OpenSSL writes how much it wrote. */
  readonly #written = new Int32Array(1);
  readonly #writtenAt: number;
  readonly #update: Call;

  constructor(openSsl: OpenSsl<keyof typeof PROTOTYPES>, base: number, onRefusal: (what: string) => void) {
    this.#openSsl = openSsl;
    this.#base = base;
    this.#onRefusal = onRefusal;
    this.#ciphers = new Map([
      [16, openSsl.EVP_aes_128_ecb()],
      [24, openSsl.EVP_aes_192_ecb()],
      [32, openSsl.EVP_aes_256_ecb()],
    ]);
    this.#writtenAt = openSsl.addressOf(new Uint8Array(this.#written.buffer));
    this.#update = openSsl.EVP_CipherUpdate;
  }

  expandKey(place: number, key: number, keyLength: number, isForDecryption: boolean): boolean {
    while (this.#contexts.length <= place) this.#contexts.push(0);
    if (this.#contexts[place] === 0) this.#contexts[place] = this.#openSsl.EVP_CIPHER_CTX_new();
    const context = this.#contexts[place]!;
    const cipher = this.#ciphers.get(keyLength) ?? 0;
    const direction = isForDecryption ? 0 : 1;
    const isExpanded =
      context !== 0 &&
      this.#openSsl.EVP_CipherInit_ex(context, cipher, 0, this.#base + key, 0, direction) === 1 &&
      this.#openSsl.EVP_CIPHER_CTX_set_padding(context, 0) === 1;
    if (!isExpanded) this.#refuse(`does not take a key of ${keyLength} octets`);
    return isExpanded;
  }

  crypt(place: number, blocks: number, length: number): boolean {
    const at = this.#base + blocks;
    const isDone = this.#update(this.#contexts[place]!, at, this.#writtenAt, at, length) === 1;
    if (isDone && this.#written[0] === length) return true;
    this.#refuse(`did not take ${length} octets`);
    return false;
  }

  forgetKey(place: number): void {
    const context = this.#contexts[place] ?? 0;
    if (context !== 0) this.#openSsl.EVP_CIPHER_CTX_reset(context);
  }

  close(): void {
    for (const context of this.#contexts) if (context !== 0) this.#openSsl.EVP_CIPHER_CTX_free(context);
    this.#contexts.length = 0;
  }

  #refuse(what: string): void {
    this.#onRefusal(`the processor's AES: OpenSSL ${what}; the kernel goes on with its own`);
  }
}
