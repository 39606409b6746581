import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";
import type { Encrypted, Envelope } from "./encrypted.ts";

/**
 * Encrypted and Authenticated Fragment payload (SKF), RFC 7383 section 2.5: the last of its message.
 *
 *   Fragment Number (2) | Total Fragments (2) | IV | encrypted content, padding, Pad Length | ICV
 *
 * `aad` reaches up to Total Fragments; `nextPayload` counts in the first fragment only.
 */
export interface EncryptedFragment extends Encrypted {
  /** From 1 to totalFragments. */
  readonly fragmentNumber: number;
  readonly totalFragments: number;
}

export function decodeEncryptedFragment(body: Reader, envelope: Envelope): EncryptedFragment {
  const fragmentNumber = body.u16("Fragment Number");
  const totalFragments = body.u16("Total Fragments");
  if (fragmentNumber < 1 || fragmentNumber > totalFragments) {
    body.fail("Fragment Number", `${fragmentNumber} is not one of ${totalFragments}`);
  }
  const aad = envelope.message.subarray(0, body.offset);
  return { fragmentNumber, totalFragments, nextPayload: envelope.nextPayload, aad, body: body.rest() };
}

export function encodeEncryptedFragment(value: EncryptedFragment, writer: Writer): void {
  encodeFragmentNumber(value, writer);
  writer.bytes(value.body);
}

/** The octets between the generic header and the body. */
export function encodeFragmentNumber(
  value: Pick<EncryptedFragment, "fragmentNumber" | "totalFragments">,
  writer: Writer,
): void {
  const { fragmentNumber, totalFragments } = value;
  if (fragmentNumber < 1 || fragmentNumber > totalFragments) {
    throw new RangeError(`fragment ${fragmentNumber} is not one of ${totalFragments}`);
  }
  writer.u16(fragmentNumber, "Fragment Number");
  writer.u16(totalFragments, "Total Fragments");
}
