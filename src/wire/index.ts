/** Octets to values and back: IKEv2 messages, and the headers of what travels beside them. */
export { decodeEspHeader, ESP_HEADER_LENGTH, type EspHeader, encodeEspHeader } from "./esp-header.ts";
export { HEADER_LENGTH } from "./header.ts";
export {
  decodeIpHeader,
  encodeIpHeader,
  type IpHeader,
  internetChecksum,
  upperLayerChecksum,
} from "./ip-header.ts";
export {
  decodeHeader,
  decodeMessage,
  decodePayloads,
  encodeMessage,
  encodePayloads,
  encodeProtectedEnvelope,
  type Header,
  type HeaderFields,
  type Message,
  type PayloadChain,
  type ProtectedEnvelope,
} from "./message.ts";
export { MAXIMUM_PAYLOAD_COUNT } from "./payload-chain.ts";
export type { Configuration, ConfigurationValue } from "./payloads/configuration.ts";
export { encodeIdentificationBody, type Identification } from "./payloads/identification.ts";
export { MAXIMUM_NONCE_LENGTH, MINIMUM_NONCE_LENGTH } from "./payloads/nonce.ts";
export type { Notify } from "./payloads/notify.ts";
export type { Payload, PayloadOf } from "./payloads/payload.ts";
export type { Proposal } from "./payloads/proposal.ts";
export type { TrafficSelector } from "./payloads/traffic-selector.ts";
export type { Transform } from "./payloads/transform.ts";
export { printMessage, printPayloads } from "./print.ts";
export {
  classifyDatagram,
  decodeNonEspMarker,
  type EncapsulatedKind,
  encodeKeepalive,
  encodeNonEspMarker,
  NON_ESP_MARKER_LENGTH,
} from "./udp-encapsulation.ts";
