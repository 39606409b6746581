/** A socket of the pump. */
export interface PumpSocket<Socket> {
  readonly socket: Socket;
  /** True for a port of NAT traversal: ESP, and IKE behind the non-ESP marker. False: IKE and nothing else. */
  readonly carriesEsp: boolean;
  /** A raw socket: ESP without UDP around it, and nothing else. */
  readonly isRaw?: boolean;
  /** ESP of TCP connections, which come and go behind it: nothing else, and no addresses. */
  readonly isStream?: boolean;
  /** Another worker receives what comes here. */
  readonly isForSendingOnly?: boolean;
}
