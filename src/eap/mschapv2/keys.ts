import { createHash } from "node:crypto";
import { wipe } from "../../bytes/wipe.ts";
import { md4 } from "../../crypto/md4.ts";

const KEY_LENGTH = 16;
const MSK_LENGTH = 64;

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** RFC 3079 section 3.4. */
const MAGIC_1 = text("This is the MPPE Master Key");
const MAGIC_2 = text("On the client side, this is the send key; on the server side, it is the receive key.");
const MAGIC_3 = text("On the client side, this is the receive key; on the server side, it is the send key.");
const SHS_PAD_1 = new Uint8Array(40);
const SHS_PAD_2 = new Uint8Array(40).fill(0xf2);

/**
 * The MSK of EAP-MSCHAPv2, 64 octets: the server's MasterReceiveKey and MasterSendKey (RFC 3079 section 3.3), and zeros. Both sides
 * put the server's receive key first.
 */
export function mschapv2Msk({
  ntHash,
  ntResponse,
}: {
  readonly ntHash: Uint8Array;
  readonly ntResponse: Uint8Array;
}): Uint8Array {
  const hashOfHash = md4(ntHash);
  const masterKey = sha1Start(hashOfHash, ntResponse, MAGIC_1);
  const msk = new Uint8Array(MSK_LENGTH);
  msk.set(startKey(masterKey, MAGIC_2), 0);
  msk.set(startKey(masterKey, MAGIC_3), KEY_LENGTH);
  wipe(hashOfHash, masterKey);
  return msk;
}

/** GetAsymmetricStartKey for 128 bits. */
function startKey(masterKey: Uint8Array, magic: Uint8Array): Uint8Array {
  return sha1Start(masterKey, SHS_PAD_1, magic, SHS_PAD_2);
}

function sha1Start(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha1");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest()).subarray(0, KEY_LENGTH);
}
