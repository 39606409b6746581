/** The same octets as a plain Uint8Array: a Buffer's `slice` gives a view where everybody expects a copy. */
export function plainOctets(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** A copy in octets of its own; the source is overwritten. */
export function movedOctets(source: Uint8Array): Uint8Array {
  const own = new Uint8Array(source);
  source.fill(0);
  return own;
}
