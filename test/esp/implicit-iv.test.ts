import { createCipheriv } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  SA_BASE,
  SA_SEQUENCE_OFFSET,
  SA_SLOT_COUNT,
  SA_SLOT_SIZE,
  SA_SPI_OFFSET,
} from "../../assembly/layout.ts";
import { EncryptionTransform } from "../../src/iana/ikev2-parameters.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { ALL_CIPHERS, ANY, type Child, EspBed, withTrailer } from "./esp-bed.ts";

const IMPLICIT = ALL_CIPHERS.filter(({ name }) => name.endsWith("-IIV"));
const PACKET = innerPacket({
  source: "10.1.0.1",
  destination: "10.2.0.1",
  payload: new Uint8Array(61).fill(7),
});

/** RFC 8750 sections 3 and 4, without the reference: SPI | Sequence Number | text | ICV, nonce = salt | 64-bit number. */
function expectedPacket(child: Child, sequence: bigint): Buffer {
  const { facts } = child.outbound;
  const octets = Buffer.alloc(8);
  octets.writeBigUInt64BE(sequence);
  const spi = Buffer.alloc(4);
  spi.writeUInt32BE(facts.spi);
  const isGcm = facts.encryption.id === EncryptionTransform.ENCR_AES_GCM_16_IIV;
  const name = (isGcm ? `aes-${facts.encryption.keyLength}-gcm` : "chacha20-poly1305") as "aes-128-gcm";
  const nonce = Buffer.concat([facts.key.subarray(-4), octets]);
  const text = withTrailer(child.outbound, PACKET);
  const cipher = createCipheriv(name, facts.key.subarray(0, -4), nonce, { authTagLength: 16 });
  cipher.setAAD(Buffer.concat([spi, facts.esn ? octets : octets.subarray(4)]), {
    plaintextLength: text.length,
  });
  return Buffer.concat([spi, octets.subarray(4), cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

describe.each(IMPLICIT)("ESP with $name", (cipher) => {
  test.each([
    { esn: false, last: 0n },
    { esn: false, last: 0xffff_fffen },
    { esn: true, last: 0n },
    { esn: true, last: 0xffff_ffffn },
    { esn: true, last: 0x1234_5678_9abc_def0n },
  ])("has no IV, and the number behind $last (ESN: $esn) in the nonce", ({ esn, last }) => {
    const bed = new EspBed();
    const child = bed.install({ cipher, esn, selectors: ANY });
    bed.protect(child);
    bed.view.setBigUint64(addressOf(bed, child.outboundSpi) + SA_SEQUENCE_OFFSET, last, true);
    const [sealed] = bed.encapsulate([PACKET]);
    expect(sealed!.sequence).toBe(last + 1n);
    expect(Buffer.from(sealed!.octets).toString("hex")).toBe(
      expectedPacket(child, last + 1n).toString("hex"),
    );
  });
});

test("implicit IVs are numbers: an SA without ESN stops before one could come twice", () => {
  const bed = new EspBed();
  const child = bed.install({ cipher: IMPLICIT[0]!, selectors: ANY });
  bed.protect(child);
  bed.view.setBigUint64(addressOf(bed, child.outboundSpi) + SA_SEQUENCE_OFFSET, 0xffff_fffen, true);
  expect(bed.encapsulate([PACKET, PACKET]).map(({ status }) => status)).toEqual(["ok", "sequenceExhausted"]);
});

function addressOf(bed: EspBed, spi: number): number {
  for (let slot = 0; slot < SA_SLOT_COUNT; slot++) {
    const address = SA_BASE + slot * SA_SLOT_SIZE;
    if (bed.view.getUint32(address + SA_SPI_OFFSET, true) === spi) return address;
  }
  throw new RangeError("no such SA");
}
