import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { toHex } from "../../bytes/hex.ts";
import { PlatformError } from "../../errors/index.ts";
import { PacketCapture } from "../../platform/packet-capture.ts";
import { PlaintextDetector } from "../../platform/plaintext-detector.ts";
import type { Contender, Tunnel } from "./contender.ts";
import { CLIENT, GATEWAY, type Ground, OUTER_LINK, withNetwork } from "./ground.ts";
import { pingSeries } from "./measures/echoes.ts";

/** What was seen on the cable before anything was timed. */
export interface Proof {
  readonly frames: number;
  /** Of all frames together. */
  readonly octets: number;
  readonly plaintextFrames: number;
}

const PING_COUNT = 20;
/** A busy machine may lose one. */
const ENOUGH_PINGS = PING_COUNT / 2;
/** Of a ping, IPv4 header included. */
const PING_LENGTH = 84;
/** Frames are searched as a whole, and a tunnel may hand over many of its packets as one. */
const SNAP_LENGTH = 60_000;
/** Until the capture has looked once more. */
const SETTLE_MS = 30;

/**
 * Shows that a tunnel carries packets and that nobody on the cable can read them. Throws PlatformError when it does not, when
 * its cipher is not the one it stands for, or when the watcher does not see what is sent in clear on purpose.
 */
export async function proveEncryption(ground: Ground, contender: Contender, tunnel: Tunnel): Promise<Proof> {
  const marker = randomBytes(16);
  const decoy = await watch(ground, marker, () => echo(ground, marker, CLIENT.outer, GATEWAY.outer));
  if (decoy.plaintextFrames === 0) {
    throw new PlatformError("the watcher on the cable did not see what was sent in clear on purpose");
  }
  const proof = await watch(ground, marker, () => echo(ground, marker, CLIENT.inner, GATEWAY.inner));
  // Requests and replies: less has gone another way than over the cable.
  if (proof.octets < 2 * ENOUGH_PINGS * PING_LENGTH) {
    throw new PlatformError(`refused: the cable saw ${proof.octets} octets while pings were answered`);
  }
  if (!contender.encrypts) return proof;
  if (proof.plaintextFrames > 0) {
    throw new PlatformError(
      `refused: it does not encrypt, ${proof.plaintextFrames} frames on the cable held plaintext`,
    );
  }
  if (!tunnel.cipher.startsWith(contender.cipher)) {
    throw new PlatformError(`refused: it uses ${tunnel.cipher} instead of ${contender.cipher}`);
  }
  return proof;
}

async function echo({ client }: Ground, marker: Uint8Array, from: string, to: string): Promise<void> {
  const { sent, rttsMs } = await pingSeries(client, { from, to, count: PING_COUNT, pattern: toHex(marker) });
  if (rttsMs.length >= ENOUGH_PINGS) return;
  throw new PlatformError(`${sent - rttsMs.length} of ${sent} pings from ${from} to ${to} were not answered`);
}

/**
 * Searches all that leaves by either end of the cable while the action runs. What comes in is the same once more, and a kernel that decrypts
 * shows what it made of it on the same link.
 */
async function watch(
  { client, gateway, systemCalls }: Ground,
  marker: Uint8Array,
  action: () => Promise<void>,
): Promise<Proof> {
  const detector = new PlaintextDetector({ marker, innerPairs: [[CLIENT.inner, GATEWAY.inner]] });
  let frames = 0;
  let seen = 0;
  let plaintextFrames = 0;
  const captures: PacketCapture[] = [];
  try {
    for (const host of [client, gateway]) {
      const capture = host.inside(
        () =>
          new PacketCapture({
            link: withNetwork(systemCalls, (network) => network.linkIndex(OUTER_LINK)!),
            snapLength: SNAP_LENGTH,
            onPacket: ({ kind, octets, length, isOutgoing }) => {
              if (kind === "neighbors" || !isOutgoing) return;
              frames++;
              seen += length;
              if (detector.isIn(octets)) plaintextFrames++;
            },
          }),
      );
      captures.push(capture);
    }
    await action();
    await sleep(SETTLE_MS);
  } finally {
    for (const capture of captures) capture.close();
  }
  const missed = captures.reduce((sum, capture) => sum + capture.missed, 0);
  if (missed > 0) throw new PlatformError(`the watcher on the cable missed ${missed} frames`);
  return { frames, octets: seen, plaintextFrames };
}
