/**
 * One EAP conversation, either side: packets go in, steps come out. It has no socket, no clock and no timer: whoever carries the
 * packets delivers each once and in order, as IKEv2 does (RFC 7296 section 2.16). It never throws on what the peer sends.
 */
export interface EapSession {
  /** `packet` is one EAP packet as it came. The next one may come when the step is there; until then it is ignored. */
  receive(packet: Uint8Array): EapStep | Promise<EapStep>;
  /** Wipes what it holds. Afterwards everything is ignored. */
  dispose(): void;
}

export type EapStep =
  | { readonly kind: "send"; readonly packet: Uint8Array }
  | EapSuccess
  /** It is over. `packet` is EAP-Failure, from a server. `reason` is for the log, never for the peer. */
  | { readonly kind: "failure"; readonly packet?: Uint8Array; readonly reason: string }
  /** RFC 3748 says to discard it silently: the conversation stands where it stood, and there is nothing to answer with. */
  | { readonly kind: "ignore" };

/** Server: `packet` is EAP-Success, to be sent. Client: EAP-Success came when it was due. */
interface EapSuccess {
  readonly kind: "success";
  readonly packet?: Uint8Array;
  /** The Master Session Key, 64 octets, which belongs to the receiver; undefined for a method without keys. */
  readonly msk: Uint8Array | undefined;
  /** Who was authenticated. Not always what the peer said when it was asked for its identity. */
  readonly identity: string;
  readonly grants?: EapGrants;
}

/** What a RADIUS server grants with a login. */
export interface EapGrants {
  /** Framed-IP-Address. */
  readonly address?: string;
  readonly class?: readonly Uint8Array[];
  /** Session-Timeout. */
  readonly sessionSeconds?: number;
  /** Acct-Interim-Interval. */
  readonly interimSeconds?: number;
}

export interface EapServer {
  /** `peer.address` is where the client's datagrams come from, as text. `first` is the request that opens the conversation. */
  begin(peer: { readonly address: string }): { readonly session: EapSession; readonly first: Uint8Array };
}

export interface EapClient {
  /** Other octets for another account or another password, where there is one. */
  readonly account?: Uint8Array;
  begin(): EapSession;
}
