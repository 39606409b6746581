/** Octets to values and back: IKEv2 messages, and the headers of what travels beside them. */

export { decodeHeader, type Header, type HeaderFields } from "./header.ts";
export {
  decodeMessage,
  decodePayloads,
  encodeMessage,
  encodePayloads,
  encodeProtectedEnvelope,
  type Message,
  type PayloadChain,
  type ProtectedEnvelope,
} from "./message.ts";
export type { Payload, PayloadOf } from "./payloads/payload.ts";
