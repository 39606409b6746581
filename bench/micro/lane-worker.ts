import { parentPort, workerData } from "node:worker_threads";
import { RECEIVE_SLOT_SIZE, WORKER_BASE, WORKER_RECEIVE_OFFSET, WORKER_SIZE } from "../../assembly/layout.ts";
import { loadKernel } from "../../src/esp/kernel.ts";
import { DataPump } from "../../src/esp/pump.ts";
import { openNativeCiphers } from "../../src/platform/native-ciphers/native-ciphers.ts";
import { NO_OFFLOADS, type Tun } from "../../src/platform/tun/tun.ts";
import type { UdpSocket } from "../../src/platform/udp/udp-socket.ts";
import type { LaneGreeting, LaneTask } from "./lanes.ts";
import { serveSlices, timeBatches } from "./slice-threads.ts";
import { expectEqual } from "./subject.ts";

const task = workerData as LaneTask;
const { memory, role, packets, sliceMs, lends } = task;
const octets = new Uint8Array(memory.buffer);
const slots = WORKER_BASE + role.worker * WORKER_SIZE + WORKER_RECEIVE_OFFSET;

let sealed: readonly Uint8Array[] = [];
/** Where copies go while somebody looks. */
let kept: Uint8Array[] | undefined;
let due = 0;

const tun: Tun = {
  name: "tun0",
  mtu: 1400,
  descriptor: undefined,
  offloads: NO_OFFLOADS,
  read: (address) => {
    if (due === 0) return 0;
    const packet = packets[packets.length - due--]!;
    octets.set(packet, address);
    return packet.length;
  },
  write: (address, length) => {
    kept?.push(octets.slice(address, address + length));
    return true;
  },
  writePieces: () => "unsupported",
  close: () => {},
};

let queued = 0;
const socket: UdpSocket = {
  family: 4,
  port: 4500,
  descriptor: undefined,
  maySegment: () => false,
  receive: (limit) => {
    const count = Math.min(limit, sealed.length);
    for (let i = 0; i < count; i++) octets.set(sealed[i]!, slots + i * RECEIVE_SLOT_SIZE);
    return count;
  },
  receivedAt: (index) => slots + index * RECEIVE_SLOT_SIZE,
  receivedLength: (index) => sealed[index]!.length,
  receivedSegmentLength: () => 0,
  receivedTrafficClass: () => 0,
  receivedPeer: () => 0,
  receivedFrom: () => ({ address: "192.0.2.1", port: 4500 }),
  receivedTo: () => ({ address: "192.0.2.2", port: 4500 }),
  queue: ({ address, length }) => {
    queued++;
    kept?.push(octets.slice(address, address + length));
    return true;
  },
  takeTooLong: () => 0,
  transmit: () => {
    const count = queued;
    queued = 0;
    return count;
  },
  close: () => {},
};

const pump = new DataPump({
  memory,
  kernel: loadKernel(memory, role.worker, lends ? openNativeCiphers(memory) : {}),
  role,
  tun,
  sockets: [{ socket, carriesEsp: true }],
  clock: { now: () => performance.now() },
  random: { bytes: (length) => new Uint8Array(length) },
  ring: () => {},
  callCompanion: () => {},
  onRefusal: () => {},
  onTrap: () => {},
  onStray: () => {},
  onElsewhere: () => {},
  onTooLong: () => {},
});

function round(): void {
  due = packets.length;
  pump.round();
}

/** What one round gives to the devices. */
function lookAtRound(): Uint8Array[] {
  kept = [];
  round();
  const all = kept;
  kept = undefined;
  return all;
}

/** One round seals all packets, or opens all datagrams to what they were made of. */
function prove(): void {
  const results = lookAtRound();
  const opened = results.slice(role.sends ? packets.length : 0);
  if (role.sends && results.length < packets.length) throw new Error("not everything was sealed");
  if (!role.receives) return;
  expectEqual(
    `worker ${role.worker}`,
    new Map<string, Uint8Array>([
      ["packets that were sealed", Buffer.concat(packets)],
      ["opened", Buffer.concat(opened)],
    ]),
  );
}

const greeting: LaneGreeting = { sealed: role.sends ? lookAtRound() : [] };
parentPort!.postMessage(greeting);
parentPort!.once("message", (answer: LaneGreeting) => {
  sealed = answer.sealed;
  timeBatches(200, round);
  prove();
  parentPort!.postMessage("ready");
  serveSlices(task, () => {
    const ns = timeBatches(sliceMs, round);
    prove();
    return ns;
  });
});
