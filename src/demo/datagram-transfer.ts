import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { PlatformError } from "../errors/index.ts";
import type { MemoryStack } from "./memory-stack.ts";
import { Payload } from "./payload.ts";
import type { TransferEnd } from "./transfer-facts.ts";

/** IPv4 and UDP headers around it fill the tunnel's MTU of 1400. */
const DATAGRAM_LENGTH = 1372;

/** Sent and not confirmed: less than what a tunnel takes for a queue that stands, and shortens (RFC 8289). */
const WINDOW = 44;

/** The receiver confirms every so many, with their count. */
const CONFIRM_EVERY = 11;

const SILENCE_MS = 2000;
const PROGRESS_MS = 100;

interface MemoryEnd {
  readonly stack: MemoryStack;
  readonly address: string;
}

/**
 * Sends numbered datagrams for a time, where there is no TCP: `from` counts and hashes what it sends, `to` what comes, in
 * order, and confirms. Rejects when confirmations stay away.
 */
export async function transferDatagrams({
  from,
  to,
  durationMs,
  marker,
  onProgress,
}: {
  readonly from: MemoryEnd;
  readonly to: MemoryEnd;
  readonly durationMs: number;
  readonly marker: Uint8Array;
  readonly onProgress: (progress: { readonly octets: number; readonly ms: number }) => void;
}): Promise<{ readonly sent: TransferEnd; readonly received: TransferEnd }> {
  const receiver = new DatagramReceiver(from, to);
  const payload = new Payload(marker, DATAGRAM_LENGTH);
  const hash = createHash("sha256");
  const startedAt = performance.now();
  const endsAt = startedAt + durationMs;
  let sent = 0;
  let confirmed = 0;
  let heardAt = startedAt;
  let toldAt = startedAt;
  from.stack.onDatagram = ({ payload: confirmation }) => {
    confirmed = new DataView(confirmation.buffer, confirmation.byteOffset).getUint32(0);
    heardAt = performance.now();
  };
  for (let now = startedAt; now < endsAt || confirmed + CONFIRM_EVERY <= sent; now = performance.now()) {
    while (now < endsAt && sent - confirmed < WINDOW) {
      const block = payload.next();
      if (!from.stack.send({ from: from.address, to: to.address, payload: block })) break;
      hash.update(block);
      sent++;
    }
    await turn();
    if (now > heardAt + SILENCE_MS) {
      throw new PlatformError(
        `datagram transfer: ${sent - confirmed} of ${sent} datagrams were not confirmed`,
        {
          code: "ETIMEDOUT",
        },
      );
    }
    if (now >= toldAt + PROGRESS_MS) {
      toldAt = now;
      onProgress({ octets: confirmed * DATAGRAM_LENGTH, ms: now - startedAt });
    }
  }
  await receiver.reach(sent);
  from.stack.onDatagram = undefined;
  const octets = sent * DATAGRAM_LENGTH;
  return {
    sent: { octets, ms: performance.now() - startedAt, hash: hash.digest("hex") },
    received: receiver.end(),
  };
}

class DatagramReceiver {
  readonly #to: MemoryEnd;
  readonly #hash = createHash("sha256");
  #count = 0;
  #octets = 0;
  #firstAt = 0;
  #lastAt = 0;

  constructor(from: MemoryEnd, to: MemoryEnd) {
    this.#to = to;
    to.stack.onDatagram = ({ payload }) => {
      this.#take(payload);
      if (this.#count % CONFIRM_EVERY === 0) this.#confirm(from.address);
    };
  }

  /** Waits for what is still under way, not for what is lost: the hashes will tell. */
  async reach(count: number): Promise<void> {
    for (let end = performance.now() + SILENCE_MS; this.#count < count && performance.now() < end; )
      await turn();
  }

  end(): TransferEnd {
    this.#to.stack.onDatagram = undefined;
    return { octets: this.#octets, ms: this.#lastAt - this.#firstAt, hash: this.#hash.digest("hex") };
  }

  #take(payload: Uint8Array): void {
    this.#lastAt = performance.now();
    if (this.#count === 0) this.#firstAt = this.#lastAt;
    this.#count++;
    this.#octets += payload.length;
    this.#hash.update(payload);
  }

  #confirm(to: string): void {
    const confirmation = new Uint8Array(4);
    new DataView(confirmation.buffer).setUint32(0, this.#count);
    this.#to.stack.send({ from: this.#to.address, to, payload: confirmation });
  }
}
