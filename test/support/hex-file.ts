import { readFileSync } from "node:fs";
import { fromHex } from "../../src/bytes/hex.ts";

/** Octets of a hex file under test/vectors/; everything behind "#" on a line is a remark. */
export function readHexFile(path: string): Uint8Array {
  const text = readFileSync(new URL(`../vectors/${path}`, import.meta.url), "utf8");
  return fromHex(text.replace(/#.*$/gm, ""));
}
