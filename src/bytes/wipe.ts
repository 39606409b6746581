/** Overwrites secrets that are done with. Parts that do not exist are passed over, so that a clean-up path needs no conditions. */
export function wipe(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}
