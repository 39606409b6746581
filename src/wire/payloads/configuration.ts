import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";

/**
 * Configuration payload, RFC 7296 section 3.15.
 *
 *   CFG Type (1) | reserved (3) | Configuration Attributes
 *
 * Each attribute:
 *
 *   reserved (1 bit) | Attribute Type (15 bits) | Length (2) | Value
 */
export interface Configuration {
  /** ConfigurationType. */
  readonly configurationType: number;
  readonly attributes: readonly ConfigurationValue[];
}

export interface ConfigurationValue {
  /** ConfigurationAttribute. */
  readonly type: number;
  /** Empty in a request that leaves the choice to the peer. */
  readonly value: Uint8Array;
}

export function decodeConfiguration(body: Reader): Configuration {
  const configurationType = body.u8("CFG Type");
  body.skip(3, "reserved");
  const attributes: ConfigurationValue[] = [];
  while (body.remaining > 0) {
    const type = body.u16("Attribute Type") & 0x7fff;
    const length = body.u16("Attribute Length");
    attributes.push({ type, value: body.bytes(length, "Attribute Value") });
  }
  return { configurationType, attributes };
}

export function encodeConfiguration(value: Configuration, writer: Writer): void {
  writer.u8(value.configurationType, "CFG Type");
  writer.bytes(RESERVED);
  for (const attribute of value.attributes) {
    if (attribute.type > 0x7fff) throw new RangeError(`Attribute Type ${attribute.type} is not 15 bits`);
    writer.u16(attribute.type, "Attribute Type");
    writer.u16(attribute.value.length, "Attribute Length");
    writer.bytes(attribute.value);
  }
}

const RESERVED = new Uint8Array(3);
