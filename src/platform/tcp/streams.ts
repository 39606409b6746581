import type { Path, SocketAddress } from "../address.ts";

/** What uses a connection: an IKE SA with a peer that we know, or one on its way. */
export type StreamUse = "established" | "negotiating";

/** TCP connections that carry IKE and ESP (RFC 9329), as the host sees them. Each has a number, its stream. */
export interface Streams {
  /**
   * Opens a connection. Returns its path at once; whether somebody answers shows later. Undefined where no route leads there, or too many
   * connections are open.
   */
  open(ends: { readonly localAddress: string | undefined; readonly remote: SocketAddress }): Path | undefined;
  /** Sends an IKE message. What cannot leave is lost, and so is what is sent through a connection that is closed. */
  send(stream: number, message: Uint8Array): void;
  /** ESP may come through it from now on: a child SA of a peer that we know does. */
  trust(stream: number): void;
  /** Where it is to look, now and then, which streams are used: what is not is closed. */
  watch(uses: () => ReadonlyMap<number, StreamUse>): void;
  readonly counts: StreamCounts;
  close(): Promise<void>;
}

/** ESP packets are lost where a queue is full, or where they come from somebody whom nobody knows. */
export interface StreamCounts {
  readonly connections: number;
  /** Those among them that others have opened and that no IKE SA of a peer we know uses. */
  readonly strangers: number;
  readonly lostOutbound: number;
  readonly lostInbound: number;
}

/** What the connections tell. */
export interface StreamsListener {
  /** An IKE message, good during the call. */
  onIkeMessage(octets: Uint8Array, path: Path): void;
  /** A connection has ended, or never came about. */
  onStreamClosed(stream: number): void;
}
