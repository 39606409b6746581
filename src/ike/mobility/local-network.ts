/** What the machine that we run on says of its network. Addresses are text. */
export interface LocalNetwork {
  /** The address that our datagrams to this one leave from, as routes are now; undefined where none leads there but through a tunnel. */
  sourceTo(address: string): string | undefined;
  /** Whether an address is ours. */
  has(address: string): boolean;
  /** Our addresses that others may call us at. */
  addresses(): readonly string[];
}
