import { createSocket } from "node:dgram";
import { PlatformError } from "../../errors/index.ts";

/** A UDP port of IPv4 for a service that we offer beside IKE and ESP: now and then a datagram. */
export interface ServiceSocket {
  /** What cannot leave is lost. */
  send(octets: Uint8Array, to: { readonly address: string; readonly port: number }): void;
  close(): Promise<void>;
}

/** Opens one on all addresses. `onDatagram` must not throw. Rejects with PlatformError when the port is taken. */
export type OpenServiceSocket = (
  port: number,
  onDatagram: (octets: Uint8Array, from: { readonly address: string; readonly port: number }) => void,
) => Promise<ServiceSocket>;

export const openServiceSocket: OpenServiceSocket = async (port, onDatagram) => {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  socket.on("message", onDatagram);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind(port, resolve);
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
};
