import { toHex } from "../bytes/hex.ts";
import { formatAddress } from "../bytes/ip-address.ts";
import {
  AuthenticationMethod,
  CertificateEncoding,
  ConfigurationAttribute,
  ConfigurationType,
  EncryptionTransform,
  EsnTransform,
  ExchangeType,
  HashAlgorithm,
  IdType,
  IntegrityTransform,
  KeyExchangeMethod,
  NotifyType,
  nameOf,
  PayloadType,
  PrfTransform,
  ProtocolId,
  TrafficSelectorType,
  TransformType,
} from "../iana/ikev2-parameters.ts";
import { IpProtocol } from "../iana/ip-protocols.ts";
import type { Header } from "./header.ts";
import type { Message } from "./message.ts";
import type { ConfigurationValue } from "./payloads/configuration.ts";
import type { Identification } from "./payloads/identification.ts";
import type { Notify } from "./payloads/notify.ts";
import type { Payload } from "./payloads/payload.ts";
import type { Proposal } from "./payloads/proposal.ts";
import type { TrafficSelector } from "./payloads/traffic-selector.ts";
import type { Transform } from "./payloads/transform.ts";

/**
 * A message as one readable block, a line for its header and one or more for each payload. Key exchange data, nonces,
 * authentication data, EAP contents and whatever else could be secret shows as "[n octets]"; text that a peer chose is
 * printed without control characters. Never throws on a decoded message.
 */
export function printMessage(message: Message): string {
  return [printHeader(message.header), ...printPayloadLines(message.payloads)].join("\n");
}

/** The payloads of a decrypted body in the same shape. */
export function printPayloads(payloads: readonly Payload[]): string {
  return printPayloadLines(payloads).join("\n");
}

function printHeader(header: Header): string {
  const direction = header.isResponse ? "response" : "request";
  const side = header.isInitiator ? "initiator" : "responder";
  const version = `${header.majorVersion}.${header.minorVersion}`;
  return [
    `${nameOf(ExchangeType, header.exchangeType)} ${direction} ${header.messageId} of the ${side}`,
    `SPIs ${printIkeSpi(header.initiatorSpi)} ${printIkeSpi(header.responderSpi)}`,
    ...(version === "2.0" ? [] : [`version ${version}`]),
    count(header.length),
  ].join(", ");
}

function printPayloadLines(payloads: readonly Payload[]): string[] {
  return payloads.flatMap((payload) => {
    const [first = "", ...more] = printPayload(payload);
    return [`  ${first}`, ...more.map((line) => `    ${line}`)];
  });
}

/** A line, and further ones for what is nested. */
function printPayload(payload: Payload): readonly string[] {
  switch (payload.kind) {
    case "security-association":
      return ["SA", ...payload.proposals.map(printProposal)];
    case "key-exchange":
      return [`KE ${nameOf(KeyExchangeMethod, payload.group)} ${amount(payload.data)}`];
    case "identification-initiator":
      return [`IDi ${printIdentification(payload)}`];
    case "identification-responder":
      return [`IDr ${printIdentification(payload)}`];
    case "certificate":
      return [`CERT ${nameOf(CertificateEncoding, payload.encoding)} ${amount(payload.data)}`];
    case "certificate-request":
      return [`CERTREQ ${nameOf(CertificateEncoding, payload.encoding)} ${amount(payload.data)}`];
    case "authentication":
      return [`AUTH ${nameOf(AuthenticationMethod, payload.method)} ${amount(payload.data)}`];
    case "nonce":
      return [`NONCE ${amount(payload.nonce)}`];
    case "notify":
      return [printNotify(payload)];
    case "delete":
      return [["D", nameOf(ProtocolId, payload.protocolId), ...payload.spis.map(toHex)].join(" ")];
    case "vendor-id":
      return [
        `V ${isPrintable(payload.data) ? printText(payload.data) : toHex(payload.data.subarray(0, 64))}`,
      ];
    case "traffic-selectors-initiator":
      return ["TSi", ...payload.selectors.map(printTrafficSelector)];
    case "traffic-selectors-responder":
      return ["TSr", ...payload.selectors.map(printTrafficSelector)];
    case "encrypted":
      return [`SK ${amount(payload.body)}`];
    case "encrypted-fragment":
      return [`SKF ${payload.fragmentNumber} of ${payload.totalFragments} ${amount(payload.body)}`];
    case "configuration": {
      const { configurationType, attributes } = payload;
      return [
        `CP ${nameOf(ConfigurationType, configurationType)}`,
        ...attributes.map(printConfigurationValue),
      ];
    }
    case "eap":
      return [`EAP ${printEap(payload.octets)}`];
    case "unknown": {
      const name = nameOf(PayloadType, payload.payloadType);
      return [`payload ${name}${payload.critical ? ", critical" : ""} ${amount(payload.body)}`];
    }
  }
}

function printProposal(proposal: Proposal): string {
  const spi = proposal.spi.length === 0 ? "" : ` SPI ${toHex(proposal.spi)}`;
  const transforms = proposal.transforms.map(printTransform).join(", ");
  return `${proposal.number}: ${nameOf(ProtocolId, proposal.protocolId)}${spi}: ${transforms}`;
}

function printTransform(transform: Transform): string {
  const table = TRANSFORM_TABLES.get(transform.type);
  const type = nameOf(TransformType, transform.type);
  const id = table === undefined ? String(transform.id) : nameOf(table, transform.id);
  // NONE and bare numbers say nothing without their type.
  const name = id === "NONE" || /^\d/.test(id) || transform.type > TransformType.ESN ? `${type} ${id}` : id;
  const keyLength = transform.keyLength === undefined ? "" : ` ${transform.keyLength}`;
  return `${name}${keyLength}${transform.hasUnknownAttribute ? " with an unknown attribute" : ""}`;
}

function printNotify(notify: Notify): string {
  const parts = [`N ${nameOf(NotifyType, notify.notifyType)}`];
  if (notify.protocolId !== 0) parts.push(nameOf(ProtocolId, notify.protocolId));
  if (notify.spi.length > 0) parts.push(`SPI ${toHex(notify.spi)}`);
  const facts = printNotifyData(notify);
  if (facts !== undefined) parts.push(facts);
  else if (notify.data.length > 0) parts.push(amount(notify.data));
  return parts.join(" ");
}

/** The few notifications whose data explain themselves and hold nothing secret. */
function printNotifyData({ notifyType, data }: Notify): string | undefined {
  if (notifyType === NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD && data.length === 1) {
    return nameOf(PayloadType, data[0]!);
  }
  if (notifyType === NotifyType.INVALID_KE_PAYLOAD && data.length === 2) {
    return nameOf(KeyExchangeMethod, numberOf(data));
  }
  if (NUMBERS.has(notifyType) && data.length === 4) return String(numberOf(data));
  if (notifyType === NotifyType.SIGNATURE_HASH_ALGORITHMS && data.length % 2 === 0) {
    const names: string[] = [];
    for (let i = 0; i < data.length; i += 2)
      names.push(nameOf(HashAlgorithm, numberOf(data.subarray(i, i + 2))));
    return names.join(" ");
  }
  return undefined;
}

function printIdentification({ idType, data }: Identification): string {
  const type = nameOf(IdType, idType);
  if (ADDRESS_IDS.has(idType) && isAddress(data)) return `${type} ${formatAddress(data)}`;
  if (TEXT_IDS.has(idType)) return `${type} ${printText(data)}`;
  return `${type} ${amount(data)}`;
}

function printTrafficSelector(selector: TrafficSelector): string {
  const { startAddress, endAddress, protocol, startPort, endPort } = selector;
  if (!isAddress(startAddress) || !isAddress(endAddress)) return nameOf(TrafficSelectorType, selector.type);
  const addresses = `${formatAddress(startAddress)}-${formatAddress(endAddress)}`;
  const protocolName = protocol === 0 ? "any" : nameOf(IpProtocol, protocol);
  const isAny = startPort === 0 && endPort === 65535;
  const isOpaque = startPort === 65535 && endPort === 0;
  if (protocol === 0 && isAny) return addresses;
  const ports = isAny
    ? ""
    : isOpaque
      ? "/OPAQUE"
      : startPort === endPort
        ? `/${startPort}`
        : `/${startPort}-${endPort}`;
  return `${addresses}[${protocolName}${ports}]`;
}

function printConfigurationValue({ type, value }: ConfigurationValue): string {
  const name = nameOf(ConfigurationAttribute, type);
  if (value.length === 0) return name;
  if (TEXT_ATTRIBUTES.has(type)) return `${name} ${printText(value)}`;
  // An IPv6 address or subnet is followed by its prefix length (RFC 7296 section 3.15.1).
  if (value.length === 17 && PREFIX_ATTRIBUTES.has(type)) {
    return `${name} ${formatAddress(value.subarray(0, 16))}/${value[16]}`;
  }
  if (value.length === 8 && type === ConfigurationAttribute.INTERNAL_IP4_SUBNET) {
    return `${name} ${formatAddress(value.subarray(0, 4))}/${formatAddress(value.subarray(4))}`;
  }
  if (isAddress(value) && ADDRESS_ATTRIBUTES.has(type)) return `${name} ${formatAddress(value)}`;
  return `${name} ${amount(value)}`;
}

/** Code, identifier and type of an EAP message. What follows may be a password. */
function printEap(octets: Uint8Array): string {
  const [code = 0, identifier = 0, , , type] = octets;
  const name = EAP_CODES[code] ?? `code ${code}`;
  return `${name} ${identifier}${type === undefined ? "" : ` type ${type}`} ${amount(octets)}`;
}

function printIkeSpi(spi: bigint): string {
  return spi.toString(16).padStart(16, "0");
}

/** Text of a peer in quotes. Octets outside of printable ASCII are escaped, so that it can neither move a cursor nor forge a line. */
function printText(octets: Uint8Array): string {
  let text = "";
  for (const octet of octets.subarray(0, MAXIMUM_TEXT_LENGTH)) {
    const isPlain = octet >= 0x20 && octet < 0x7f && octet !== 0x22 && octet !== 0x5c;
    text += isPlain ? String.fromCharCode(octet) : `\\x${octet.toString(16).padStart(2, "0")}`;
  }
  return `"${text}"${octets.length > MAXIMUM_TEXT_LENGTH ? ` and ${octets.length - MAXIMUM_TEXT_LENGTH} more` : ""}`;
}

function isPrintable(octets: Uint8Array): boolean {
  return octets.length > 0 && octets.every((octet) => octet >= 0x20 && octet < 0x7f);
}

function isAddress(octets: Uint8Array): boolean {
  return octets.length === 4 || octets.length === 16;
}

function amount(octets: Uint8Array): string {
  return `[${count(octets.length)}]`;
}

function count(length: number): string {
  return length === 1 ? "1 octet" : `${length} octets`;
}

function numberOf(octets: Uint8Array): number {
  return octets.reduce((value, octet) => value * 256 + octet, 0);
}

const MAXIMUM_TEXT_LENGTH = 256;

const TRANSFORM_TABLES: ReadonlyMap<number, Readonly<Record<string, number>>> = new Map<
  number,
  Readonly<Record<string, number>>
>([
  [TransformType.ENCR, EncryptionTransform],
  [TransformType.PRF, PrfTransform],
  [TransformType.INTEG, IntegrityTransform],
  [TransformType.KE, KeyExchangeMethod],
  [TransformType.ESN, EsnTransform],
  [TransformType.ADDKE1, KeyExchangeMethod],
  [TransformType.ADDKE2, KeyExchangeMethod],
  [TransformType.ADDKE3, KeyExchangeMethod],
  [TransformType.ADDKE4, KeyExchangeMethod],
  [TransformType.ADDKE5, KeyExchangeMethod],
  [TransformType.ADDKE6, KeyExchangeMethod],
  [TransformType.ADDKE7, KeyExchangeMethod],
]);

const NUMBERS: ReadonlySet<number> = new Set([
  NotifyType.SET_WINDOW_SIZE,
  NotifyType.AUTH_LIFETIME,
  NotifyType.INVALID_MESSAGE_ID,
]);

const ADDRESS_IDS: ReadonlySet<number> = new Set([IdType.ID_IPV4_ADDR, IdType.ID_IPV6_ADDR]);
const TEXT_IDS: ReadonlySet<number> = new Set([IdType.ID_FQDN, IdType.ID_RFC822_ADDR]);

const TEXT_ATTRIBUTES: ReadonlySet<number> = new Set([
  ConfigurationAttribute.APPLICATION_VERSION,
  ConfigurationAttribute.INTERNAL_DNS_DOMAIN,
]);
const PREFIX_ATTRIBUTES: ReadonlySet<number> = new Set([
  ConfigurationAttribute.INTERNAL_IP6_ADDRESS,
  ConfigurationAttribute.INTERNAL_IP6_SUBNET,
]);
const ADDRESS_ATTRIBUTES: ReadonlySet<number> = new Set([
  ConfigurationAttribute.INTERNAL_IP4_ADDRESS,
  ConfigurationAttribute.INTERNAL_IP4_NETMASK,
  ConfigurationAttribute.INTERNAL_IP4_DNS,
  ConfigurationAttribute.INTERNAL_IP4_NBNS,
  ConfigurationAttribute.INTERNAL_IP4_DHCP,
  ConfigurationAttribute.INTERNAL_IP6_ADDRESS,
  ConfigurationAttribute.INTERNAL_IP6_DNS,
  ConfigurationAttribute.INTERNAL_IP6_DHCP,
]);

const EAP_CODES = ["code 0", "Request", "Response", "Success", "Failure"];
