/** AES for the kernel, block by block, over the shared memory. Addresses and lengths are octets in it. */
export interface LentAes {
  /** Takes the key of 16, 24 or 32 octets at `key` as that of a place, from 0 on, to encrypt or to decrypt with. False when that failed. */
  expandKey(place: number, key: number, keyLength: number, isForDecryption: boolean): boolean;
  /** Encrypts or decrypts `length` octets at `blocks` in place, each block by itself. False when that failed. */
  crypt(place: number, blocks: number, length: number): boolean;
  /** Wipes the key of a place, if it has one. */
  forgetKey(place: number): void;
  /** Wipes all keys and gives up what they took. */
  close(): void;
}

/** ChaCha20 (RFC 8439 section 2.4) for the kernel, over the shared memory. Addresses and lengths are octets in it. */
export interface LentChaCha20 {
  /**
   * Puts `source` XOR key stream at `destination`, which is the same place or does not overlap. `key` is 32 octets; `counter` the counter
   * of the first block and the nonce, 16 octets.
   */
  crypt(destination: number, source: number, length: number, key: number, counter: number): void;
}

/** What the processor's own instructions are lent for. */
export interface LentCiphers {
  readonly aes?: LentAes | undefined;
  readonly chaCha20?: LentChaCha20 | undefined;
}
