/**
 * One traffic selector, RFC 7296 section 3.13.1.
 *
 *   TS Type (1) | IP Protocol ID (1) | Selector Length (2) | Start Port (2) | End Port (2) | Starting Address | Ending Address
 */
export interface TrafficSelector {
  /** TrafficSelectorType: 7 is an IPv4 range, 8 an IPv6 range; other types travel with empty addresses. */
  readonly type: number;
  /** 0 is any. */
  readonly protocol: number;
  /** 0 to 65535 is any port; start 65535 with end 0 is OPAQUE. */
  readonly startPort: number;
  readonly endPort: number;
  /** 4 or 16 octets, inclusive. */
  readonly startAddress: Uint8Array;
  readonly endAddress: Uint8Array;
}
