import { createHash } from "node:crypto";
import { wipe } from "../bytes/wipe.ts";
import { MICROSOFT_VENDOR_ID, MicrosoftAttribute, RadiusAttribute } from "../iana/radius.ts";
import { type Attribute, valuesOf } from "./packet.ts";

const MSK_LENGTH = 64;
const SALT_LENGTH = 2;
const BLOCK_LENGTH = 16;

/**
 * The MSK that came with an Access-Accept, 64 octets: MS-MPPE-Recv-Key, MS-MPPE-Send-Key, and zeros (RFC 3748 section 7.10, RFC 2548
 * section 2.4). Undefined when there are no keys, or what is there is none.
 */
export function mskOf(
  attributes: readonly Attribute[],
  protection: { readonly request: Uint8Array; readonly secret: Uint8Array },
): Uint8Array | undefined {
  const receive = keyOf(attributes, { ...protection, type: MicrosoftAttribute.MS_MPPE_RECV_KEY });
  const send = keyOf(attributes, { ...protection, type: MicrosoftAttribute.MS_MPPE_SEND_KEY });
  let msk: Uint8Array | undefined;
  if (receive !== undefined && send !== undefined && receive.length + send.length <= MSK_LENGTH) {
    msk = new Uint8Array(MSK_LENGTH);
    msk.set(receive, 0);
    msk.set(send, receive.length);
  }
  wipe(receive, send);
  return msk;
}

interface KeyPlace {
  readonly type: number;
  /** Authenticator of the request, 16 octets. */
  readonly request: Uint8Array;
  readonly secret: Uint8Array;
}

function keyOf(
  attributes: readonly Attribute[],
  { type, request, secret }: KeyPlace,
): Uint8Array | undefined {
  const [sealed, ...others] = microsoftValues(attributes, type);
  if (sealed === undefined || others.length > 0) return undefined;
  const salt = sealed.subarray(0, SALT_LENGTH);
  const blocks = sealed.subarray(SALT_LENGTH);
  // RFC 2548 section 2.4.2: the leftmost bit of a salt is set.
  if ((salt[0] ?? 0) < 0x80 || blocks.length === 0 || blocks.length % BLOCK_LENGTH !== 0) return undefined;
  const plain = new Uint8Array(blocks.length);
  for (let at = 0; at < blocks.length; at += BLOCK_LENGTH) {
    const hash = createHash("md5").update(secret);
    if (at === 0) hash.update(request).update(salt);
    else hash.update(blocks.subarray(at - BLOCK_LENGTH, at));
    const pad = hash.digest();
    for (let i = 0; i < BLOCK_LENGTH; i++) plain[at + i] = blocks[at + i]! ^ pad[i]!;
    wipe(pad);
  }
  const length = plain[0]!;
  const key = length > 0 && length < plain.length ? plain.slice(1, 1 + length) : undefined;
  wipe(plain);
  return key;
}

/** Vendor-Id (4) | Vendor-Type (1) | Vendor-Length (1) | value, RFC 2865 section 5.26; several may stand in one attribute. */
function microsoftValues(attributes: readonly Attribute[], type: number): readonly Uint8Array[] {
  const found: Uint8Array[] = [];
  for (const value of valuesOf(attributes, RadiusAttribute.VENDOR_SPECIFIC)) {
    if (value.length < 4) continue;
    if (new DataView(value.buffer, value.byteOffset, 4).getUint32(0) !== MICROSOFT_VENDOR_ID) continue;
    for (let at = 4; at + 2 <= value.length; ) {
      const length = value[at + 1]!;
      if (length < 2 || at + length > value.length) break;
      if (value[at] === type) found.push(value.subarray(at + 2, at + length));
      at += length;
    }
  }
  return found;
}
