import type { SocketAddress } from "../address.ts";

/** RFC 791, RFC 768: 65,535 octets less the IPv4 and UDP headers. */
export const MAXIMUM_DATAGRAM_LENGTH = 65_507;

/** Messages that one transmit takes. */
export const SEND_BATCH_COUNT = 128;

/** Datagrams that one message may be cut into, which older kernels know as UDP_MAX_SEGMENTS. */
export const SEGMENT_LIMIT = 64;

/**
 * A UDP socket as the data worker uses it: batches of datagrams that stay in the shared memory. Every call returns at once.
 * It is bound to a port of one family; it learns the local address of each datagram (IP_PKTINFO, IPV6_RECVPKTINFO), so that
 * an answer can leave from the address that was asked.
 */
export interface UdpSocket {
  readonly family: 4 | 6;
  readonly port: number;
  /** The descriptor to poll for reading, or undefined for a socket in memory. */
  readonly descriptor: number | undefined;
  /** Whether a message may be several datagrams of this length. What the kernel refuses is not offered again, or not soon. */
  maySegment(segmentLength: number): boolean;
  /** Receives up to `limit` messages into the worker's receive slots 0, 1, ... Returns how many came. */
  receive(limit: number): number;
  /** Where message `index` of the last receive begins, and its length. */
  receivedAt(index: number): number;
  receivedLength(index: number): number;
  /** Octets of each datagram of the message but the last, which may be shorter. 0 when it is one datagram. */
  receivedSegmentLength(index: number): number;
  /** Its outer traffic class (IPv4: type of service), the same for each datagram of the message. */
  receivedTrafficClass(index: number): number;
  /** A number for who sent it, as `socketAddressNumber` gives. */
  receivedPeer(index: number): number;
  /** Who sent it and which of our addresses it reached. Allocates: for IKE datagrams, not for ESP. */
  receivedFrom(index: number): SocketAddress;
  receivedTo(index: number): SocketAddress;
  /** Puts a message into the next transmit. `peer` and `control` are addresses of a sockaddr and a cmsghdr, as in an SA slot. False when the batch is full. */
  queue(message: QueuedMessage): boolean;
  /** The `peer` of a message that was longer than the path takes, and was refused since the last call; 0 when there was none. */
  takeTooLong(): number;
  /** Transmits what was queued. Returns how many datagrams the kernel took; the rest is dropped. */
  transmit(): number;
  /** Of a stream: sends what has left in part only. True while something of it waits; nothing else is taken meanwhile. */
  flush?(): boolean;
  close(): void;
}

/** One datagram, or several of equal length to one peer, back to back. */
export interface QueuedMessage {
  address: number;
  /** MAXIMUM_DATAGRAM_LENGTH at most. */
  length: number;
  /** Octets of each datagram but the last, which may be shorter; `length` when there is one. At most SEGMENT_LIMIT datagrams. */
  segmentLength: number;
  peer: number;
  peerLength: number;
  control: number;
  controlLength: number;
  /** Outer traffic class (IPv4: type of service) of each of its datagrams. */
  trafficClass: number;
  /** Whether they go without DF, and may be fragmented: here or, with IPv4, on the way. Otherwise what is longer than the path takes is refused. */
  mayFragment: boolean;
}

/** The host's way to send one datagram (IKE) from a chosen local address. Errors of the path (ENETUNREACH, EPERM) are returned, not thrown. */
export interface DatagramSender {
  send(datagram: {
    readonly octets: Uint8Array;
    readonly from: SocketAddress;
    readonly to: SocketAddress;
    /** False: with DF, and EMSGSIZE where it is longer than the link takes. True by default: in fragments if need be. */
    readonly mayFragment?: boolean;
  }): string | undefined;
}
