/**
 * Whether two runs of octets are the same, in a time that depends on their lengths only. The difference is gathered
 * without a branch, so that a forger cannot learn how many octets were right.
 */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}
