import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import { PlatformError } from "../../errors/index.ts";

/** A UDP port for a service that we offer beside IKE and ESP: now and then a datagram. */
export interface ServiceSocket {
  /** What cannot leave is lost. */
  send(octets: Uint8Array, to: { readonly address: string; readonly port: number }): void;
  close(): Promise<void>;
}

interface ServicePlace {
  readonly port: number;
  /** "0.0.0.0" or "::" for all addresses of the family. */
  readonly address: string;
  /** Whether somebody else may listen there as well. */
  readonly isShared: boolean;
}

/** Opens one. `onDatagram` must not throw. Rejects with PlatformError when the port is taken. */
export type OpenServiceSocket = (
  place: ServicePlace,
  onDatagram: (octets: Uint8Array, from: { readonly address: string; readonly port: number }) => void,
) => Promise<ServiceSocket>;

/** `inherited`: the descriptor of a socket that is bound to a place already, or undefined; asked once for each. */
export const serviceSocketsOver =
  (inherited: (place: ServicePlace) => number | undefined): OpenServiceSocket =>
  (place, onDatagram) =>
    open(place, { descriptor: inherited(place), onDatagram });

async function open(
  { port, address, isShared }: ServicePlace,
  {
    descriptor,
    onDatagram,
  }: {
    readonly descriptor: number | undefined;
    readonly onDatagram: Parameters<OpenServiceSocket>[1];
  },
): Promise<ServiceSocket> {
  const type = isIPv6(address) ? "udp6" : "udp4";
  const socket = createSocket({ type, reuseAddr: isShared, ipv6Only: type === "udp6" });
  socket.on("message", onDatagram);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      if (descriptor === undefined) socket.bind(port, address, resolve);
      else socket.bind({ fd: descriptor }, resolve);
    });
  } catch (cause) {
    socket.close();
    const { code = "PLATFORM" } = cause as NodeJS.ErrnoException;
    throw new PlatformError(`open UDP port ${port}: ${code}`, { code, cause });
  }
  // What goes wrong with one datagram is no reason to fall.
  socket.on("error", () => {});
  return {
    send: (octets, to) => socket.send(octets, to.port, to.address, () => {}),
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}
