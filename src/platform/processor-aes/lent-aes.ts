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
