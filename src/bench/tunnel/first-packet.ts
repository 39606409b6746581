import { setTimeout as sleep } from "node:timers/promises";
import { PlatformError } from "../../errors/index.ts";
import { IcmpEcho } from "../../platform/icmp-echo.ts";
import { CLIENT, GATEWAY, type Ground } from "./ground.ts";

/** Somebody who sends and sends until something comes back. */
export interface FirstPacketWatch {
  /** When the first answer came, by `performance.now()`. Never settles when none comes. */
  readonly seenAtMs: Promise<number>;
  close(): void;
}

const INTERVAL_MS = 4;

/** Sends echo requests from one inner address to the other from now on, hundreds in a second, until one is answered. */
export function watchFirstPacket({ client }: Ground): FirstPacketWatch {
  let echo: IcmpEcho | undefined;
  let isOver = false;
  const close = (): void => {
    isOver = true;
    echo?.close();
    echo = undefined;
  };
  const seenAtMs = new Promise<number>((resolve, reject) => {
    const send = async (): Promise<void> => {
      while (!isOver) {
        echo ??= openEcho(client);
        const sentAtMs = performance.now();
        void echo?.ping().then((result) => {
          if (result.kind === "reply") resolve(sentAtMs + result.rttMs);
        });
        await sleep(INTERVAL_MS);
      }
    };
    send().catch(reject);
  });
  seenAtMs.then(close, close);
  return { seenAtMs, close };
}

/** Undefined as long as there is no route to the other side. */
function openEcho(client: Ground["client"]): IcmpEcho | undefined {
  try {
    return client.inside(() => new IcmpEcho({ source: CLIENT.inner, destination: GATEWAY.inner }));
  } catch (error) {
    if (error instanceof PlatformError) return undefined;
    throw error;
  }
}
