/** Poly1305 as RFC 8439 section 2.5.1 writes it down, for messages of whole blocks. */
export function referencePoly1305(parameters: { r: bigint; s: bigint; message: Uint8Array }): bigint {
  const r = clamp(parameters.r);
  let h = 0n;
  for (let at = 0; at < parameters.message.length; at += 16) {
    h = ((h + toNumber(parameters.message.subarray(at, at + 16)) + 2n ** 128n) * r) % P;
  }
  return (h + parameters.s) % 2n ** 128n;
}

export const P = 2n ** 130n - 5n;

export function clamp(r: bigint): bigint {
  return r & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffffn;
}

/** The number whose little-endian form the octets are. */
export function toNumber(octets: Uint8Array): bigint {
  return octets.reduceRight((number, octet) => (number << 8n) | BigInt(octet), 0n);
}

/** 16 octets, little-endian. */
export function toBlock(number: bigint): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => Number((number >> BigInt(8 * i)) & 0xffn));
}
