import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";
import { nameOf, PayloadType } from "../../iana/ikev2-parameters.ts";
import { type Authentication, decodeAuthentication, encodeAuthentication } from "./authentication.ts";
import { type Certificate, decodeCertificate, encodeCertificate } from "./certificate.ts";
import { type Configuration, decodeConfiguration, encodeConfiguration } from "./configuration.ts";
import { type Delete, decodeDelete, encodeDelete } from "./delete.ts";
import { decodeEap, type Eap, encodeEap } from "./eap.ts";
import { decodeEncrypted, type Encrypted, type Envelope, encodeEncrypted } from "./encrypted.ts";
import {
  decodeEncryptedFragment,
  type EncryptedFragment,
  encodeEncryptedFragment,
} from "./encrypted-fragment.ts";
import { decodeIdentification, encodeIdentification, type Identification } from "./identification.ts";
import { decodeKeyExchange, encodeKeyExchange, type KeyExchange } from "./key-exchange.ts";
import { decodeNonce, encodeNonce, type Nonce } from "./nonce.ts";
import { decodeNotify, encodeNotify, type Notify } from "./notify.ts";
import {
  decodeSecurityAssociation,
  encodeSecurityAssociation,
  type SecurityAssociation,
} from "./security-association.ts";
import { decodeTrafficSelectors, encodeTrafficSelectors, type TrafficSelectors } from "./traffic-selector.ts";
import { decodeUnknown, encodeUnknown, type Unknown } from "./unknown.ts";
import { decodeVendorId, encodeVendorId, type VendorId } from "./vendor-id.ts";

/** Every payload of RFC 7296 section 3, the Encrypted Fragment of RFC 7383, and what we do not know. */
export type Payload =
  | Kind<"security-association", SecurityAssociation>
  | Kind<"key-exchange", KeyExchange>
  | Kind<"identification-initiator", Identification>
  | Kind<"identification-responder", Identification>
  | Kind<"certificate", Certificate>
  | Kind<"certificate-request", Certificate>
  | Kind<"authentication", Authentication>
  | Kind<"nonce", Nonce>
  | Kind<"notify", Notify>
  | Kind<"delete", Delete>
  | Kind<"vendor-id", VendorId>
  | Kind<"traffic-selectors-initiator", TrafficSelectors>
  | Kind<"traffic-selectors-responder", TrafficSelectors>
  | Kind<"encrypted", Encrypted>
  | Kind<"configuration", Configuration>
  | Kind<"eap", Eap>
  | Kind<"encrypted-fragment", EncryptedFragment>
  | Kind<"unknown", Unknown>;

/** The payload of one kind: `PayloadOf<"notify">`. */
export type PayloadOf<K extends Payload["kind"]> = Extract<Payload, { readonly kind: K }>;

/**
 * `critical` is the bit of the generic payload header (RFC 7296 section 3.2). It means something on an unknown payload
 * only; on the others a receiver ignores it and a sender leaves it false.
 */
type Kind<K extends string, Value> = { readonly kind: K; readonly critical: boolean } & Value;

/** Reads the body of a payload. `envelope` is there where SK and SKF may be: in a message, not inside of one another. */
export function decodePayload(
  body: Reader,
  header: {
    readonly type: number;
    readonly critical: boolean;
    readonly envelope: Envelope | undefined;
  },
): Payload {
  const { type, critical, envelope } = header;
  switch (type) {
    case PayloadType.SA:
      return { kind: "security-association", critical, ...decodeSecurityAssociation(body) };
    case PayloadType.KE:
      return { kind: "key-exchange", critical, ...decodeKeyExchange(body) };
    case PayloadType.IDi:
      return { kind: "identification-initiator", critical, ...decodeIdentification(body) };
    case PayloadType.IDr:
      return { kind: "identification-responder", critical, ...decodeIdentification(body) };
    case PayloadType.CERT:
      return { kind: "certificate", critical, ...decodeCertificate(body) };
    case PayloadType.CERTREQ:
      return { kind: "certificate-request", critical, ...decodeCertificate(body) };
    case PayloadType.AUTH:
      return { kind: "authentication", critical, ...decodeAuthentication(body) };
    case PayloadType.NONCE:
      return { kind: "nonce", critical, ...decodeNonce(body) };
    case PayloadType.N:
      return { kind: "notify", critical, ...decodeNotify(body) };
    case PayloadType.D:
      return { kind: "delete", critical, ...decodeDelete(body) };
    case PayloadType.V:
      return { kind: "vendor-id", critical, ...decodeVendorId(body) };
    case PayloadType.TSi:
      return { kind: "traffic-selectors-initiator", critical, ...decodeTrafficSelectors(body) };
    case PayloadType.TSr:
      return { kind: "traffic-selectors-responder", critical, ...decodeTrafficSelectors(body) };
    case PayloadType.CP:
      return { kind: "configuration", critical, ...decodeConfiguration(body) };
    case PayloadType.EAP:
      return { kind: "eap", critical, ...decodeEap(body) };
    case PayloadType.SK:
      return {
        kind: "encrypted",
        critical,
        ...decodeEncrypted(body, envelope ?? body.fail("payload", "is inside another")),
      };
    case PayloadType.SKF:
      return {
        kind: "encrypted-fragment",
        critical,
        ...decodeEncryptedFragment(body, envelope ?? body.fail("payload", "is inside another")),
      };
    default:
      return { kind: "unknown", critical, ...decodeUnknown(body, type) };
  }
}

/** Writes the body of a payload. */
export function encodePayload(payload: Payload, writer: Writer): void {
  switch (payload.kind) {
    case "security-association":
      encodeSecurityAssociation(payload, writer);
      break;
    case "key-exchange":
      encodeKeyExchange(payload, writer);
      break;
    case "identification-initiator":
    case "identification-responder":
      encodeIdentification(payload, writer);
      break;
    case "certificate":
    case "certificate-request":
      encodeCertificate(payload, writer);
      break;
    case "authentication":
      encodeAuthentication(payload, writer);
      break;
    case "nonce":
      encodeNonce(payload, writer);
      break;
    case "notify":
      encodeNotify(payload, writer);
      break;
    case "delete":
      encodeDelete(payload, writer);
      break;
    case "vendor-id":
      encodeVendorId(payload, writer);
      break;
    case "traffic-selectors-initiator":
    case "traffic-selectors-responder":
      encodeTrafficSelectors(payload, writer);
      break;
    case "configuration":
      encodeConfiguration(payload, writer);
      break;
    case "eap":
      encodeEap(payload, writer);
      break;
    case "encrypted":
      encodeEncrypted(payload, writer);
      break;
    case "encrypted-fragment":
      encodeEncryptedFragment(payload, writer);
      break;
    case "unknown":
      encodeUnknown(payload, writer);
      break;
    default:
      payload satisfies never;
  }
}

/** PayloadType of a payload; 0 for none. */
export function typeOf(payload: Payload | undefined): number {
  if (payload === undefined) return PayloadType.NONE;
  if (payload.kind !== "unknown") return TYPES[payload.kind];
  const { payloadType } = payload;
  if (payloadType === PayloadType.NONE || KNOWN_TYPES.has(payloadType)) {
    throw new TypeError(`payload type ${nameOf(PayloadType, payloadType)} is not unknown`);
  }
  return payloadType;
}

/** How errors call a payload: "Notify payload". */
export function payloadName(type: number): string {
  const name = NAMES.get(type);
  return name === undefined ? `payload of type ${type}` : `${name} payload`;
}

const TYPES: Readonly<Record<Exclude<Payload["kind"], "unknown">, number>> = {
  "security-association": PayloadType.SA,
  "key-exchange": PayloadType.KE,
  "identification-initiator": PayloadType.IDi,
  "identification-responder": PayloadType.IDr,
  certificate: PayloadType.CERT,
  "certificate-request": PayloadType.CERTREQ,
  authentication: PayloadType.AUTH,
  nonce: PayloadType.NONCE,
  notify: PayloadType.N,
  delete: PayloadType.D,
  "vendor-id": PayloadType.V,
  "traffic-selectors-initiator": PayloadType.TSi,
  "traffic-selectors-responder": PayloadType.TSr,
  encrypted: PayloadType.SK,
  configuration: PayloadType.CP,
  eap: PayloadType.EAP,
  "encrypted-fragment": PayloadType.SKF,
};

const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(TYPES));

const NAMES: ReadonlyMap<number, string> = new Map([
  [PayloadType.SA, "Security Association"],
  [PayloadType.KE, "Key Exchange"],
  [PayloadType.IDi, "Identification (initiator)"],
  [PayloadType.IDr, "Identification (responder)"],
  [PayloadType.CERT, "Certificate"],
  [PayloadType.CERTREQ, "Certificate Request"],
  [PayloadType.AUTH, "Authentication"],
  [PayloadType.NONCE, "Nonce"],
  [PayloadType.N, "Notify"],
  [PayloadType.D, "Delete"],
  [PayloadType.V, "Vendor ID"],
  [PayloadType.TSi, "Traffic Selector (initiator)"],
  [PayloadType.TSr, "Traffic Selector (responder)"],
  [PayloadType.SK, "Encrypted"],
  [PayloadType.CP, "Configuration"],
  [PayloadType.EAP, "EAP"],
  [PayloadType.SKF, "Encrypted Fragment"],
]);
