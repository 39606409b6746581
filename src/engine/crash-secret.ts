import { join } from "node:path";
import { fromHex, toHex } from "../bytes/hex.ts";
import type { Random } from "../platform/random.ts";
import { StateFile } from "../platform/state-file.ts";

const LENGTH = 32;

/**
 * The secret by which a peer can tell that we have lost an IKE SA (RFC 6290): the same in each of our lives, readable by us alone, and made
 * when there is none. Undefined, and told of, where it cannot be kept: a secret that ends with us shows nobody anything.
 */
export function crashSecretIn(
  stateDirectory: string,
  facts: { readonly random: Random; readonly onWarning: (message: string) => void },
): Uint8Array | undefined {
  const file = new StateFile(join(stateDirectory, "crash-secret.json"), isHexSecret);
  const known = file.read();
  if (known !== undefined) return fromHex(known);
  const secret = facts.random.bytes(LENGTH);
  try {
    file.write(toHex(secret));
    return secret;
  } catch (error) {
    facts.onWarning(`peers will not be shown that we were started again: ${(error as Error).message}`);
    return undefined;
  }
}

function isHexSecret(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}
