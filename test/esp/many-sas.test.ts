import { expect, test } from "vitest";
import { SA_SLOT_COUNT } from "../../assembly/layout.ts";
import { createSharedMemory, type DataPlane, startMemoryDataPlane } from "../../src/esp/index.ts";
import { EncryptionTransform, TransformType } from "../../src/iana/ikev2-parameters.ts";
import { MemoryTun } from "../../src/platform/tun/memory-tun.ts";
import { MemoryWire } from "../../src/platform/udp/memory-udp.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { SeededRandom } from "../support/kernel.ts";
import { trafficSelector } from "../support/traffic-selectors.ts";
import { until } from "../support/waiting.ts";

const COUNT = 10_000;
const ADDRESS = "192.0.2.1";

test("10,000 tunnels carry packets, are rekeyed under them, and leave no octet of their keys", async () => {
  const bed = openDataPlane();
  const spis = Array.from({ length: COUNT }, (_, i) => addTunnel(bed, i, 0));
  // 10.6 KB for both directions of a tunnel, and not much more for its policy.
  expect(bed.plane.occupancy.sas).toEqual({ inUse: 2 * COUNT, limit: SA_SLOT_COUNT });
  expect(bed.plane.occupancy.octets / COUNT).toBeLessThan(11_000);
  const some = [0, 1, 255, 256, 4711, COUNT - 1];
  for (const i of some) bed.tun.inject(packetFor(i));
  await until("first packets", () => bed.received.length === some.length);
  expect(bed.received.map(destinationOf)).toEqual(some.map(addressOf));
  for (const i of some) expect(bed.plane.carried(spis[i]!)?.inbound.packets).toBe(1);

  // Old and new exist side by side: 6,384 of them at a time.
  const room = SA_SLOT_COUNT / 2 - COUNT;
  const keys: Uint8Array[] = [];
  for (let first = 0; first < COUNT; first += room) {
    const batch = spis.slice(first, first + room);
    batch.forEach((_, offset) => {
      const i = first + offset;
      spis[i] = addTunnel(bed, i, 1);
      if (some.includes(i)) keys.push(keyOf(i, 1));
    });
    for (const i of some) bed.tun.inject(packetFor(i));
    batch.forEach((_, offset) => {
      bed.plane.removePolicy(precedenceOf(first + offset, 0));
    });
    await Promise.all(batch.map((old) => bed.plane.removeChildSa(old)));
  }
  await until("packets of both generations", () => bed.received.length === 3 * some.length);
  expect(bed.plane.drops).toEqual({});
  expect(bed.plane.occupancy.sas.inUse).toBe(2 * COUNT);
  for (const i of some) expect(bed.plane.carried(spis[i]!)?.inbound.packets).toBeGreaterThan(0);

  const contents = Buffer.from(bed.memory.buffer);
  for (const key of keys) expect(contents.includes(saltOf(key))).toBe(true);
  await bed.plane.stop();
  for (const key of keys) expect(contents.includes(saltOf(key))).toBe(false);
}, 120_000);

interface Bed {
  readonly memory: WebAssembly.Memory;
  readonly plane: DataPlane;
  readonly tun: MemoryTun;
  readonly received: Uint8Array[];
}

/** A data plane whose peer is itself. */
function openDataPlane(): Bed {
  const memory = createSharedMemory();
  const tun = new MemoryTun(memory, { name: "tun", mtu: 1400 });
  const socket = new MemoryWire().host([ADDRESS]).openUdpSocket(memory, { family: 4, port: 4500, worker: 1 });
  const random = new SeededRandom(1);
  const plane = startMemoryDataPlane({
    memory,
    random: { bytes: (length) => random.octets(length) },
    tun,
    sockets: [{ socket, carriesEsp: true }],
    onIkeDatagram: () => {},
  });
  const received: Uint8Array[] = [];
  tun.onWritten = () => received.push(...tun.drain());
  return { memory, plane, tun, received };
}

/** Generation 1 is before generation 0 of the same tunnel. */
function precedenceOf(i: number, generation: number): number {
  return 2 * i + 1 - generation;
}

function addTunnel({ plane }: Bed, i: number, generation: number): number {
  const inboundSpi = plane.allocateSpi()!;
  const end = { address: ADDRESS, port: 4500 };
  plane.installChildSa({
    inboundSpi,
    outboundSpi: inboundSpi,
    encryption: { type: TransformType.ENCR, id: EncryptionTransform.ENCR_AES_GCM_16, keyLength: 128 },
    esn: false,
    inboundKey: keyOf(i, generation),
    outboundKey: keyOf(i, generation),
    local: [trafficSelector("10.0.0.0/8")],
    remote: [trafficSelector(addressOf(i))],
    path: { local: end, remote: end },
  });
  plane.setPolicy(precedenceOf(i, generation), { action: "protect", inboundSpi });
  return inboundSpi;
}

function keyOf(i: number, generation: number): Uint8Array {
  return new SeededRandom(2 * i + generation).octets(20);
}

/** The salt is kept as it is, the key is not. */
function saltOf(key: Uint8Array): Buffer {
  return Buffer.from(key.subarray(16));
}

function addressOf(i: number): string {
  return `10.${1 + (i >> 14)}.${(i >> 7) & 127}.${i & 127}`;
}

function packetFor(i: number): Uint8Array {
  return innerPacket({ source: addressOf(i), destination: addressOf(i), payload: new Uint8Array(100) });
}

function destinationOf(packet: Uint8Array): string {
  return packet.subarray(16, 20).join(".");
}
