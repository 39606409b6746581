import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";

/**
 * DHCP message, RFC 2131 section 2, as far as somebody who has an address already needs it.
 *
 *   op, htype, hlen, hops (1 each) | xid (4) | secs (2) | flags (2)
 *   ciaddr, yiaddr, siaddr, giaddr (4 each) | chaddr (16) | sname (64) | file (128)
 *   magic cookie (4) | options: code (1) | length (1) | value
 */
export interface DhcpMessage {
  /** 1 from a client, 2 from a server. */
  readonly op: number;
  readonly transactionId: number;
  /** ciaddr: the address that the client has. */
  readonly clientAddress: Uint8Array;
  /** htype, hlen and chaddr, which a server gives back as they came. */
  readonly hardwareType: number;
  readonly hardwareLength: number;
  readonly hardwareAddress: Uint8Array;
  /** By their codes. An option that comes in parts is put together (RFC 3396). */
  readonly options: ReadonlyMap<number, Uint8Array>;
}

const MAGIC_COOKIE = 0x6382_5363;
const PAD = 0;
const END = 255;
const NAMES_LENGTH = 64 + 128;

export function decodeDhcpMessage(octets: Uint8Array): DhcpMessage {
  const reader = new Reader(octets, "DHCP message");
  const op = reader.u8("op");
  const hardwareType = reader.u8("htype");
  const hardwareLength = reader.u8("hlen");
  reader.skip(1, "hops");
  const transactionId = reader.u32("xid");
  reader.skip(4, "secs, flags");
  const clientAddress = reader.bytes(4, "ciaddr");
  reader.skip(12, "yiaddr, siaddr, giaddr");
  const hardwareAddress = reader.bytes(16, "chaddr");
  reader.skip(NAMES_LENGTH, "sname, file");
  if (reader.u32("magic cookie") !== MAGIC_COOKIE) reader.fail("magic cookie", "is another");
  const options = new Map<number, Uint8Array>();
  while (reader.remaining > 0) {
    const code = reader.u8("option");
    if (code === END) break;
    if (code === PAD) continue;
    const value = reader.bytes(reader.u8("option length"), "option value");
    const before = options.get(code);
    options.set(code, before === undefined ? value : Uint8Array.of(...before, ...value));
  }
  return { op, transactionId, clientAddress, hardwareType, hardwareLength, hardwareAddress, options };
}

export function encodeDhcpMessage(message: DhcpMessage): Uint8Array {
  const writer = new Writer();
  writer.u8(message.op, "op");
  writer.u8(message.hardwareType, "htype");
  writer.u8(message.hardwareLength, "hlen");
  writer.u8(0, "hops");
  writer.u32(message.transactionId, "xid");
  writer.u32(0, "secs, flags");
  writer.bytes(message.clientAddress);
  writer.bytes(new Uint8Array(12));
  writer.bytes(message.hardwareAddress);
  writer.bytes(new Uint8Array(NAMES_LENGTH));
  writer.u32(MAGIC_COOKIE, "magic cookie");
  for (const [code, value] of message.options) {
    for (let at = 0; at === 0 || at < value.length; at += 255) {
      const part = value.subarray(at, at + 255);
      writer.u8(code, "option");
      writer.u8(part.length, "option length");
      writer.bytes(part);
    }
  }
  writer.u8(END, "end");
  return writer.finish();
}
