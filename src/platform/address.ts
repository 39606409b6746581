/** An IP address in canonical text ("192.0.2.1", "2001:db8::1") and a port of UDP, or of TCP where the path is a stream. */
export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

/** The two ends of a UDP conversation, or of a TCP connection, as we see them. */
export interface Path {
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  /** Number of the TCP connection, which no other has had before; undefined without TCP. */
  readonly stream?: number;
}
