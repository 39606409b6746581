import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";
import { TransformAttributeType } from "../../iana/ikev2-parameters.ts";

/**
 * Transform substructure, RFC 7296 section 3.3.2.
 *
 *   Last (1) | reserved (1) | Transform Length (2) | Transform Type (1) | reserved (1) | Transform ID (2) | Attributes
 *
 * Each attribute, section 3.3.5:
 *
 *   1 (1 bit) | Attribute Type (15 bits) | Attribute Value (2)
 *   0 (1 bit) | Attribute Type (15 bits) | Attribute Length (2) | Attribute Value
 */
export interface Transform {
  /** TransformType. */
  readonly type: number;
  readonly id: number;
  /** Key Length attribute in bits, where there is one. */
  readonly keyLength?: number;
  /** The transform carries an attribute that we do not know: never to be chosen (RFC 7296 section 3.3.6). */
  readonly hasUnknownAttribute?: boolean;
}

/** Takes the next transform out of a proposal. `isLast` is what the proposal's count says; the Last octet must agree. */
export function decodeTransform(container: Reader, isLast: boolean): Transform {
  const last = container.u8("Last Substruc");
  if (last !== (isLast ? LAST : MORE)) container.fail("Last Substruc", `is ${last} against Num Transforms`);
  container.skip(1, "reserved");
  const length = container.u16("Transform Length");
  if (length < HEADER_LENGTH) container.fail("Transform Length", `${length} is less than its header`);
  const body = container.sub(length - 4, "Transform");

  const type = body.u8("Transform Type");
  body.skip(1, "reserved");
  const id = body.u16("Transform ID");
  return { type, id, ...decodeAttributes(body) };
}

/** Throws TypeError for a transform with an unknown attribute, since its octets were not kept. */
export function encodeTransform(value: Transform, isLast: boolean, writer: Writer): void {
  if (value.hasUnknownAttribute) {
    throw new TypeError(`transform ${value.type}/${value.id} has an attribute that we do not know`);
  }
  writer.u8(isLast ? LAST : MORE);
  writer.u8(0);
  writer.u16(value.keyLength === undefined ? HEADER_LENGTH : HEADER_LENGTH + 4);
  writer.u8(value.type, "Transform Type");
  writer.u8(0);
  writer.u16(value.id, "Transform ID");
  if (value.keyLength !== undefined) {
    writer.u16(TYPE_VALUE_FORMAT | TransformAttributeType.KEY_LENGTH);
    writer.u16(value.keyLength, "Key Length");
  }
}

type Attributes = Pick<Transform, "keyLength" | "hasUnknownAttribute">;

/** A second Key Length, or one in the long format, means nothing that the RFC defines: it counts as unknown. */
function decodeAttributes(body: Reader): Attributes {
  let keyLength: number | undefined;
  let hasUnknownAttribute = false;
  while (body.remaining > 0) {
    const formatAndType = body.u16("Attribute Type");
    const isShort = (formatAndType & TYPE_VALUE_FORMAT) !== 0;
    const value = body.u16(isShort ? "Attribute Value" : "Attribute Length");
    if (!isShort) body.skip(value, "Attribute Value");
    const isKeyLength = isShort && (formatAndType & 0x7fff) === TransformAttributeType.KEY_LENGTH;
    if (isKeyLength && keyLength === undefined) keyLength = value;
    else hasUnknownAttribute = true;
  }
  return {
    ...(keyLength === undefined ? {} : { keyLength }),
    ...(hasUnknownAttribute ? { hasUnknownAttribute } : {}),
  };
}

const HEADER_LENGTH = 8;
const LAST = 0;
const MORE = 3;
const TYPE_VALUE_FORMAT = 0x8000;
