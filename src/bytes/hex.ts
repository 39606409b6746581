/** Lower-case hex, two digits for each octet: "0a1b". */
export function toHex(octets: Uint8Array): string {
  let text = "";
  for (const octet of octets) text += HEX[octet]!;
  return text;
}

/** Octets of a hex text; white space between digits is ignored, so vectors can be laid out. Throws RangeError for anything else. */
export function fromHex(text: string): Uint8Array {
  const digits = text.replace(/\s+/g, "");
  if (digits.length % 2 !== 0) throw new RangeError(`${digits.length} hex digits do not make whole octets`);
  const octets = new Uint8Array(digits.length / 2);
  for (let i = 0; i < octets.length; i++) {
    const pair = digits.slice(2 * i, 2 * i + 2);
    if (!/^[0-9a-fA-F]{2}$/.test(pair)) throw new RangeError(`"${pair}" is not two hex digits`);
    octets[i] = Number.parseInt(pair, 16);
  }
  return octets;
}

const HEX = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, "0"));
