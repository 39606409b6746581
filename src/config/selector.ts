import { formatAddress, parseAddress } from "../bytes/ip-address.ts";
import { PolicyError } from "../errors/index.ts";
import { parseTrafficSelector } from "../policy/traffic-selectors.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";

/**
 * A selector as users write it: "10.1.0.0/16", "10.1.0.5-10.1.0.9", "10.0.0.0/8[tcp/443]". Bits behind a prefix are refused: they are a
 * slip, and either half of it may be the wrong one. Throws PolicyError.
 */
export function parseSelector(text: string): TrafficSelector {
  const selector = parseTrafficSelector(text);
  const [, prefix = "", address = "", length] = /^\s*(([^/[\]-]*)\/(\d+))/.exec(text) ?? [];
  const written = parseAddress(address);
  if (written === undefined || Buffer.compare(written, selector.startAddress) === 0) return selector;
  const meant = `${formatAddress(selector.startAddress)}/${length}`;
  throw new PolicyError(`"${prefix}" has bits behind its prefix; did you mean "${meant}"?`);
}
