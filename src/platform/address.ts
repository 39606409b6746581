/** An IP address in canonical text ("192.0.2.1", "2001:db8::1") and a UDP port. */
export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

/** The two ends of a UDP conversation, as we see them. */
export interface Path {
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
}
