const LENGTH_OFFSET = 24;

/** The same octets with the Length field of an IKE header (RFC 7296 section 3.1) set to how many they are. */
export function ikeShaped(octets: Uint8Array): Uint8Array {
  const shaped = octets.slice();
  new DataView(shaped.buffer).setUint32(LENGTH_OFFSET, shaped.length);
  return shaped;
}
