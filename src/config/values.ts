import { formatAddress, parseAddress, parsePrefix } from "../bytes/ip-address.ts";
import { PolicyError } from "../errors/index.ts";
import { parseDuration, parseSize } from "./units.ts";

/** Single values of the file, from text to what they mean. Each throws a PolicyError that says what is wrong with the text. */

const SMALLEST_MTU = 1280; // RFC 8200 section 5: below that there is no IPv6.
const LARGEST_MTU = 65_535;
const LAST_PORT = 65_535;
const SHORTEST_PADDED = 64;
const SHORTEST_REPORT_MS = 1_000;
const LONGEST_REPORT_MS = 86_400_000;
const SHORTEST_INTERVAL_MS = 10;
const LONGEST_INTERVAL_MS = 3_600_000;
const SHORTEST_LIFETIME_MS = 1_000;
const LONGEST_LIFETIME_MS = 30 * 86_400_000;
const SHORTEST_PATIENCE_MS = 2_000;
const LONGEST_PATIENCE_MS = 3_600_000;
const SMALLEST_VOLUME = 1_000_000;

/** A host's address in canonical text. */
export function parseIpAddress(text: string): string {
  const octets = parseAddress(text.trim());
  if (octets === undefined) throw new PolicyError(notAnAddress(text));
  if (octets.every((octet) => octet === 0)) {
    throw new PolicyError(`${text} is no address of a host; leave the key out to mean any`);
  }
  return formatAddress(octets);
}

/** A host's address in canonical text, or its name: what has a letter and no colon cannot be an address. */
export function parseHost(text: string): string {
  return /[A-Za-z]/.test(text) && !text.includes(":") ? parseDomain(text) : parseIpAddress(text);
}

/** The name to log in with, as it is typed: with a domain in front or without. */
export function parseUserName(text: string): string {
  const name = text.trim();
  if (name !== "" && !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(name)) return name;
  throw new PolicyError(`"${text}" is not a user name`);
}

/** PPK_ID, as it is sent. */
export function parsePpkId(text: string): string {
  if (text !== "" && !/[\p{Cc}\p{Cs}]/u.test(text)) return text;
  throw new PolicyError(`"${text}" is no name of a PPK`);
}

/** As `parseIpAddress`, and "0.0.0.0" or "::" for every address of the family. */
export function parseListenAddress(text: string): string {
  const octets = parseAddress(text.trim());
  if (octets === undefined) throw new PolicyError(notAnAddress(text));
  return formatAddress(octets);
}

/** A prefix in canonical text: "10.77.0.0/24". Bits behind it are refused: they are a slip. */
export function parseNetwork(text: string): string {
  const [, address = "", length] = /^([^/]*)\/(\d{1,3})$/.exec(text.trim()) ?? [];
  const octets = parseAddress(address);
  const range = parsePrefix(`${address}/${length}`);
  if (octets === undefined || range === undefined) {
    throw new PolicyError(`"${text}" is not a network; write it like 10.77.0.0/24 or fd77::/64`);
  }
  const network = `${formatAddress(range.start)}/${length}`;
  if (Buffer.compare(octets, range.start) === 0) return network;
  throw new PolicyError(`"${text}" has bits behind its prefix; did you mean "${network}"?`);
}

const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;
const LONGEST_DOMAIN = 253;

/** A domain name in the form in which it is compared: lower case, without a dot at its end. */
export function parseDomain(text: string): string {
  const domain = text.trim().toLowerCase().replace(/\.$/, "");
  const labels = domain.split(".");
  const isName = labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1) ?? "");
  if (isName && domain.length <= LONGEST_DOMAIN) return domain;
  throw new PolicyError(`"${text}" is not a domain name; write it like vpn.example.org`);
}

function notAnAddress(text: string): string {
  if (/^[A-Za-z0-9.-]*[A-Za-z][A-Za-z0-9.-]*$/.test(text)) {
    return `"${text}" is a name; this version takes IP addresses only`;
  }
  return parsePrefix(text) === undefined
    ? `"${text}" is not an IP address`
    : `"${text}" is a range; one address is meant here`;
}

/** "mtu", or octets that packets are padded to. */
export function parsePadTo(text: string): number | "mtu" {
  if (text === "mtu") return text;
  const length = /^\d+$/.test(text) ? Number(text) : parseSize(text);
  if (length < SHORTEST_PADDED || length > LARGEST_MTU) {
    throw new PolicyError(
      `packets are padded to "mtu" or ${SHORTEST_PADDED} to ${LARGEST_MTU} octets, not ${text}`,
    );
  }
  return length;
}

/** Time between dummy packets, in milliseconds. */
export function parseInterval(text: string): number {
  const interval = parseDuration(text);
  if (interval < SHORTEST_INTERVAL_MS || interval > LONGEST_INTERVAL_MS) {
    throw new PolicyError(`"${text}" is not within 10ms to 1h`);
  }
  return interval;
}

export function parseMtu(text: string): number {
  const mtu = /^\d+$/.test(text) ? Number(text) : parseSize(text);
  if (mtu < SMALLEST_MTU || mtu > LARGEST_MTU) {
    throw new PolicyError(`an MTU is from ${SMALLEST_MTU} to ${LARGEST_MTU} octets, not ${text}`);
  }
  return mtu;
}

/** Milliseconds between two reports; "never" is Infinity. */
export function parseReportInterval(text: string): number {
  if (text === "never") return Number.POSITIVE_INFINITY;
  const ms = parseDuration(text);
  if (ms < SHORTEST_REPORT_MS || ms > LONGEST_REPORT_MS) {
    throw new PolicyError(`reports come every 1s to 1d, or never; not ${text}`);
  }
  return ms;
}

/** Milliseconds; "never" is Infinity. Below a second there is no time to rekey. */
export function parseLifetime(text: string): number {
  if (text === "never") return Number.POSITIVE_INFINITY;
  const ms = parseDuration(text);
  if (ms < SHORTEST_LIFETIME_MS || ms > LONGEST_LIFETIME_MS) {
    throw new PolicyError(`a lifetime is from 1s to 30d, or never; not ${text}`);
  }
  return ms;
}

/** Milliseconds that a peer may take to answer. Below two seconds a slow path looks like a dead peer. */
export function parsePatience(text: string): number {
  const ms = parseDuration(text);
  if (ms < SHORTEST_PATIENCE_MS || ms > LONGEST_PATIENCE_MS) {
    throw new PolicyError(`a timeout is from 2s to 1h, not ${text}`);
  }
  return ms;
}

/** Octets; "never" is Infinity. */
export function parseVolume(text: string): number {
  if (text === "never") return Number.POSITIVE_INFINITY;
  const octets = parseSize(text);
  if (octets < SMALLEST_VOLUME) throw new PolicyError(`from 1MB, or never; not ${text}`);
  return octets;
}

/** Where we can be reached by TCP. */
export function parseTcpPort(text: string): number | "off" {
  if (text === "off") return text;
  const port = Number(text);
  if (!/^[0-9]{1,5}$/.test(text) || port < 1 || port > LAST_PORT)
    throw new PolicyError(`a TCP port from 1 to ${LAST_PORT}, or off; not ${text}`);
  return port;
}

/** The kernel's rule for the name of a link (IFNAMSIZ 16, with its closing zero). */
export function parseTunName(text: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/.test(text)) {
    throw new PolicyError(`"${text}" is no name of a device: at most 15 letters, digits, ".", "_" and "-"`);
  }
  return text;
}

export function parsePath(text: string): string {
  if (text === "" || text.includes("\0")) throw new PolicyError(`"${text}" is not a path`);
  return text;
}
