import { FIOCLEX } from "../system-calls/constants.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";

/** A socket that a former program of this process has opened with rights that we do not have. */
export type InheritedSocket =
  | { readonly use: "udp"; readonly address: string; readonly port: number; readonly descriptor: number }
  | { readonly use: "tcp"; readonly address: string; readonly port: number; readonly descriptor: number }
  | { readonly use: "raw-esp"; readonly family: 4 | 6; readonly descriptor: number }
  | { readonly use: "service"; readonly address: string; readonly port: number; readonly descriptor: number };

/** Carries the list over an execve. */
export const SOCKETS_VARIABLE = "IKEBANA_SOCKETS";

/** Sockets that wait for whoever needs one like them. Each is given away once. */
export class InheritedSockets {
  readonly #sockets: InheritedSocket[];

  /** Takes the list out of the environment, so that no program that we start has it, nor the sockets. */
  static take(environment: NodeJS.ProcessEnv, systemCalls: () => SystemCalls): InheritedSockets {
    const text = environment[SOCKETS_VARIABLE];
    delete environment[SOCKETS_VARIABLE];
    if (text === undefined) return new InheritedSockets([]);
    const sockets = JSON.parse(text) as readonly InheritedSocket[];
    for (const { descriptor } of sockets) systemCalls().ioctlNumber(descriptor, FIOCLEX, 0);
    return new InheritedSockets(sockets);
  }

  constructor(sockets: readonly InheritedSocket[] = []) {
    this.#sockets = [...sockets];
  }

  udp(place: Place): number | undefined {
    return this.#give((socket) => socket.use === "udp" && isAt(socket, place));
  }

  tcp(place: Place): number | undefined {
    return this.#give((socket) => socket.use === "tcp" && isAt(socket, place));
  }

  rawEsp(family: 4 | 6): number | undefined {
    return this.#give((socket) => socket.use === "raw-esp" && socket.family === family);
  }

  service(place: Place): number | undefined {
    return this.#give((socket) => socket.use === "service" && isAt(socket, place));
  }

  #give(isFit: (socket: InheritedSocket) => boolean): number | undefined {
    const place = this.#sockets.findIndex(isFit);
    return place < 0 ? undefined : this.#sockets.splice(place, 1)[0]!.descriptor;
  }
}

interface Place {
  readonly address: string;
  readonly port: number;
}

function isAt(one: Place, other: Place): boolean {
  return one.address === other.address && one.port === other.port;
}
