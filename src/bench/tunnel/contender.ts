import type { Ground } from "./ground.ts";

/** Somebody who leads packets from one inner address to the other. */
export interface Contender {
  /** As it is chosen on the command line: "openvpn-aes256gcm". */
  readonly name: string;
  /** As tables call it: "OpenVPN, AES-256-GCM". */
  readonly title: string;
  /** Whether what it puts on the wire must be unreadable. Only the bare path may say no. */
  readonly encrypts: boolean;
  /** What its tunnel must say that it uses, or the contender is refused: "AES-256-GCM". */
  readonly cipher: string;
  /** Part of a run for which nobody named contenders. */
  readonly isDefault: boolean;
  /** How long it takes to come up, where that is no matter of a few seconds. */
  readonly startSeconds?: number;
  /**
   * Brings the tunnel up on fresh ground, the gateway first and then the client; what it started ends with the ground. `firstPacket` settles when the first packet has been
   * answered through it: who has to look whether the tunnel is up may wait for that, and takes no processor time from those who bring it
   * up. Throws PlatformError with the reason why it cannot.
   */
  start(ground: Ground, firstPacket: Promise<unknown>): Promise<Tunnel>;
}

/** A contender that runs. */
export interface Tunnel {
  /** Name and version of the program. */
  readonly version: string;
  /** What the running tunnel says about itself. */
  readonly cipher: string;
  /** The link through which the client reaches the gateway's inner address. */
  readonly link: string;
  /** The longest inner packet, where the link's MTU is that of the outer packets. */
  readonly mtu?: number;
  /** Processes of both sides that carry packets. */
  readonly daemons: readonly number[];
}
