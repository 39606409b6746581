import { NON_ESP_MARKER_LENGTH } from "./udp-encapsulation.ts";

/**
 * TCP encapsulation, RFC 9329 sections 3 and 4. Whoever has opened the connection sends the prefix first; then come frames, either way:
 *
 *   Length (2, itself included) | non-ESP marker (4, always 0) | IKE message
 *   Length (2, itself included) | SPI (4, never 0) | Sequence Number (4) | ...
 */
export const STREAM_PREFIX: Uint8Array = new TextEncoder().encode("IKETCP");

export const FRAME_LENGTH_SIZE = 2;

const LONGEST_FRAME = 0xffff;

/** The longest IKE message or ESP packet of a frame. */
export const LONGEST_FRAMED_MESSAGE = LONGEST_FRAME - FRAME_LENGTH_SIZE - NON_ESP_MARKER_LENGTH;

/** An IKE message as it travels in a stream. Throws RangeError for one that is longer than a frame can be. */
export function encodeIkeFrame(message: Uint8Array): Uint8Array {
  if (message.length > LONGEST_FRAMED_MESSAGE) {
    throw new RangeError(`an IKE message of ${message.length} octets fits into no frame`);
  }
  const frame = new Uint8Array(FRAME_LENGTH_SIZE + NON_ESP_MARKER_LENGTH + message.length);
  new DataView(frame.buffer).setUint16(0, frame.length);
  frame.set(message, FRAME_LENGTH_SIZE + NON_ESP_MARKER_LENGTH);
  return frame;
}
