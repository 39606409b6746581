import { writeFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { SA_BASE, WORKER_BASE, WORKER_EPOCH_OFFSET, WORKER_SIZE } from "../../assembly/layout.ts";
import { openLanes } from "../../src/engine/linux-lanes.ts";
import {
  createSharedMemory,
  type DataPlane,
  type IkeDatagram,
  lanesOf,
  startDataPlane,
} from "../../src/esp/index.ts";
import { readTallies } from "../../src/esp/tally.ts";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { InheritedSockets } from "../../src/platform/privileges/inherited-sockets.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import type { SystemCalls } from "../../src/platform/system-calls/system-calls.ts";
import { LinuxDatagramSender } from "../../src/platform/udp/linux-datagram-sender.ts";
import { encodeNonEspMarker } from "../../src/wire/udp-encapsulation.ts";
import { CIPHERS, type EspCipher } from "../esp/esp-bed.ts";
import { ikeShaped } from "../support/ike-shaped.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { SeededRandom } from "../support/kernel.ts";
import { requireProcessorAes } from "../support/lent-aes.ts";
import { enterFreshNamespace, raiseLoopback, requireRoot } from "../support/namespace.ts";
import { openPacketSocket } from "../support/packet-socket.ts";
import { trafficSelector } from "../support/traffic-selectors.ts";

// Two data planes in one network namespace. Each has a TUN device, whose other side is a packet socket of the test, and its
// sockets on an address of the loopback link:
//
//   test -- tunA [workers of A] 127.0.0.1:4500 ==== 127.0.0.2:4500 [workers of B] tunB -- test

const mayRun = requireRoot("data workers on devices of the kernel");

interface Host {
  readonly address: string;
  readonly lan: string;
  readonly link: string;
  readonly memory: WebAssembly.Memory;
  readonly plane: DataPlane;
  readonly mail: IkeDatagram[];
  readonly failures: Error[];
  readonly refusals: string[];
  readonly sender: LinuxDatagramSender;
  readonly stack: ReturnType<typeof openPacketSocket>;
  close(): Promise<void>;
}

if (mayRun) {
  enterFreshNamespace();
  raiseLoopback([]);
}

describe.skipIf(!mayRun).each([1, 2, 4])("the data plane with workers: %i", (workers) => {
  if (!mayRun) return;
  const numbers = Array.from({ length: workers }, (_, i) => i + 1);
  const random = new SeededRandom(5);
  const open: Host[] = [];

  afterEach(async () => {
    for (const host of open.splice(0)) await host.close();
  });

  test("carries packets of every cipher both ways, and wakes for each after a sleep", async () => {
    const [a, b] = [await start("127.0.0.1", "10.1.0.0/16"), await start("127.0.0.2", "10.2.0.0/16")];
    for (const cipher of CIPHERS) {
      const spis = join(a, b, cipher);
      const request = packet("10.1.0.1", "10.2.0.1", 100);
      const reply = packet("10.2.0.1", "10.1.0.1", 1300);
      await pause(20); // both sleep in poll() by now
      a.stack.send(request);
      expect(await nextPacket(b)).toEqual(request);
      b.stack.send(reply);
      expect(await nextPacket(a)).toEqual(reply);
      expect(a.plane.traffic(spis.a)!.inbound).toMatchObject({ packets: 1, drops: {} });
      expect(a.plane.traffic(spis.a)!.outbound).toMatchObject({ packets: 1, drops: {} });
      await Promise.all([a.plane.removeChildSa(spis.a), b.plane.removeChildSa(spis.b)]);
    }
  });

  test("hands IKE datagrams of both ports to the host, with the address that was asked", async () => {
    const [a, b] = [await start("127.0.0.1", "10.1.0.0/16"), await start("127.0.0.2", "10.2.0.0/16")];
    const message = ikeShaped(random.octets(500));
    for (const port of [500, 4500]) {
      const refused = b.sender.send({
        octets: port === 4500 ? encodeNonEspMarker(message) : message,
        from: { address: b.address, port },
        to: { address: a.address, port },
      });
      expect(refused).toBeUndefined();
    }
    await until(() => a.mail.length === 2);
    expect(a.mail.map(({ octets }) => Buffer.compare(octets, message))).toEqual([0, 0]);
    const ports = a.mail.map(({ path }) => path.local.port).sort((x, y) => x - y);
    expect(ports).toEqual([500, 4500]);
    for (const { path } of a.mail) {
      expect(path.local).toEqual({ address: "127.0.0.1", port: path.remote.port });
      expect(path.remote.address).toBe("127.0.0.2");
    }
  });

  test("lets go of an SA's keys while packets keep coming, and again when it sleeps", async () => {
    const [a, b] = [await start("127.0.0.1", "10.1.0.0/16"), await start("127.0.0.2", "10.2.0.0/16")];
    const flow = packet("10.1.0.1", "10.2.0.1", 1000);
    for (const isBusy of [true, false]) {
      // Those whose keys can be found in memory, by the salt.
      const salted = CIPHERS.filter(({ integrity }) => integrity === undefined);
      for (const cipher of workers === 1 ? salted : salted.slice(2, 4)) {
        const spis = join(a, b, cipher);
        a.stack.send(flow);
        await until(() => a.plane.traffic(spis.a)!.outbound.packets > 0);
        const traffic = isBusy ? setInterval(() => a.stack.send(flow), 0) : undefined;
        const before = Buffer.from(a.memory.buffer);
        expect(before.includes(Buffer.from(spis.salt))).toBe(true);
        await a.plane.removeChildSa(spis.a);
        clearInterval(traffic);
        expect(Buffer.from(a.memory.buffer).includes(Buffer.from(spis.salt))).toBe(false);
        await b.plane.removeChildSa(spis.b);
      }
    }
    const slots = Buffer.from(a.memory.buffer, SA_BASE, WORKER_BASE - SA_BASE);
    // State and generation of a slot are all that is left.
    expect(slots.reduce((count, octet) => count + (octet === 0 ? 0 : 1), 0)).toBeLessThanOrEqual(16);
  });

  test("goes on through changes of policy and path under load", async () => {
    const [a, b] = [await start("127.0.0.1", "10.1.0.0/16"), await start("127.0.0.2", "10.2.0.0/16")];
    const spis = join(a, b, CIPHERS[0]!);
    const flow = packet("10.1.0.1", "10.2.0.1", 200);
    const other = {
      action: "discard" as const,
      selectors: { local: [trafficSelector("10.9.0.0/16")], remote: [trafficSelector("10.8.0.0/16")] },
    };
    let arrived = 0;
    for (let i = 0; i < 200; i++) {
      a.stack.send(flow);
      a.plane.setPolicies([other, { action: "protect", inboundSpi: spis.a }, other]);
      a.plane.moveChildSa({
        inboundSpi: spis.a,
        path: { local: { address: a.address, port: 4500 }, remote: { address: b.address, port: 4500 } },
      });
      if (i % 10 === 0) await pause(1);
      arrived += flowsIn(b);
    }
    await until(() => {
      arrived += flowsIn(b);
      return arrived === 200;
    });
    expect(a.plane.drops).toEqual({});
    expect(b.plane.traffic(spis.b)!.inbound).toMatchObject({ packets: 200, drops: {} });
  });

  test("receives ESP in the worker of its SA, and IKE in the first that receives", async () => {
    const [a, b] = [await start("127.0.0.1", "10.1.0.0/16"), await start("127.0.0.2", "10.2.0.0/16")];
    const spis = join(a, b, CIPHERS[0]!);
    const flow = packet("10.1.0.1", "10.2.0.1", 200);
    for (let i = 0; i < 50; i++) a.stack.send(flow);
    await until(() => b.plane.traffic(spis.b)!.inbound.packets === 50);
    b.stack.drain();
    a.sender.send({
      octets: encodeNonEspMarker(ikeShaped(random.octets(100))),
      from: { address: a.address, port: 4500 },
      to: { address: b.address, port: 4500 },
    });
    await until(() => b.mail.length === 1);
    const lanes = lanesOf(workers);
    const receivedBy = numbers.map((worker) => readTallies(b.memory, [worker]).udpReceive.packets);
    const expected = numbers.map((worker) => (worker === lanes.at(-1)!.receiver ? 50 : 0));
    expected[lanes[0]!.receiver - 1]! += 1;
    expect(receivedBy).toEqual(expected);
    // Whoever read them from the device, the SA's worker sealed them all. It counts them when the system call is over.
    expect(a.plane.traffic(spis.a)!.outbound).toMatchObject({ packets: 50, sequence: 50 });
    await until(() => readTallies(a.memory, [lanes.at(-1)!.sender]).udpTransmit.packets >= 50);
    expect(readTallies(a.memory, [lanes.at(-1)!.sender]).udpTransmit.packets).toBe(50);
  });

  test("keeps others from its ports", async () => {
    await start("127.0.0.1", "10.1.0.0/16");
    await expect(start("127.0.0.1", "10.2.0.0/16")).rejects.toThrow("UDP port 500 on 127.0.0.1: EADDRINUSE");
  });

  test("says so when its TUN device is taken away", async () => {
    const a = await start("127.0.0.1", "10.1.0.0/16");
    const network = new LinuxNetwork(createLinuxSystemCalls());
    network.deleteLink(a.link);
    network.close();
    await until(() => a.failures.length > 0);
    expect(a.failures[0]!.message).toMatch(/^data worker: read from TUN device test/);
    // None of the workers runs any more.
    const epochs = (): number[] => numbers.map((worker) => epochOf(a, worker));
    const before = epochs();
    a.plane.wake();
    await pause(50);
    expect(epochs()).toEqual(before);
    // Everything still answers, and settles.
    const spi = a.plane.allocateSpi()!;
    await a.plane.removeChildSa(spi);
    await a.plane.stop();
    expect(a.failures).toHaveLength(1);
  });

  test("is lent the processor's AES where it has some, unless it is told to do without", async () => {
    const a = await start("127.0.0.1", "10.1.0.0/16");
    const b = await start("127.0.0.2", "10.2.0.0/16", "off");
    const expected = requireProcessorAes("data workers that are lent AES") ? "processor" : "webassembly";
    expect(a.plane.aes).toBe(expected);
    expect(b.plane.aes).toBe("webassembly");
    expect([...a.refusals, ...b.refusals]).toEqual([]);
    // More than a key carries without tables.
    const cipher = CIPHERS.find(({ name }) => name.startsWith("AES-256-GCM"))!;
    const spis = join(a, b, cipher);
    const request = packet("10.1.0.1", "10.2.0.1", 1300);
    const reply = packet("10.2.0.1", "10.1.0.1", 1300);
    for (let i = 0; i < 60; i++) {
      a.stack.send(request);
      expect(await nextPacket(b)).toEqual(request);
      b.stack.send(reply);
      expect(await nextPacket(a)).toEqual(reply);
    }
    expect(a.plane.traffic(spis.a)!.inbound).toMatchObject({ packets: 60, drops: {} });
    expect(a.plane.occupancy.keyTables.inUse).toBe(2);
    await Promise.all([a.plane.removeChildSa(spis.a), b.plane.removeChildSa(spis.b)]);
    expect(a.plane.occupancy.keyTables.inUse).toBe(0);
  });

  async function start(address: string, lan: string, nativeCiphers: "auto" | "off" = "auto"): Promise<Host> {
    const memory = createSharedMemory();
    const systemCalls: SystemCalls = createLinuxSystemCalls(memory);
    const descriptors: number[] = [];
    const lanes = openLanes(
      systemCalls,
      {
        connections: [],
        listen: { addresses: [address], port: 500, natTraversalPort: 4500 },
        tun: { name: "test%d", mtu: 1400 },
        offloads: "off",
        workers,
        stateDirectory: "",
      },
      { descriptors, inherited: new InheritedSockets() },
    );
    const { tun } = lanes.first;
    writeFileSync(`/proc/sys/net/ipv6/conf/${tun.name}/disable_ipv6`, "1");
    const network = new LinuxNetwork(systemCalls);
    network.setLinkUp(tun.name);
    const stack = openPacketSocket(systemCalls, network.linkIndex(tun.name)!);
    network.close();
    const mail: IkeDatagram[] = [];
    const failures: Error[] = [];
    const refusals: string[] = [];
    const plane = await startDataPlane({
      memory,
      workers,
      nativeCiphers,
      systemCalls,
      random: { bytes: (length) => random.octets(length) },
      ...lanes.first,
      furtherLanes: lanes.further,
      onIkeDatagram: ({ octets, path }) => mail.push({ octets: octets.slice(), path }),
      onFailure: (error) => failures.push(error),
      onRefusal: (what) => refusals.push(what),
    });
    // So that the SAs of the tests belong to the second lane, where there is one.
    if (workers > 2) plane.allocateSpi();
    const host: Host = {
      address,
      lan,
      link: tun.name,
      memory,
      plane,
      mail,
      failures,
      refusals,
      stack,
      sender: new LinuxDatagramSender(systemCalls, lanes.udp),
      close: async () => {
        await plane.stop();
        stack.close();
        for (const descriptor of descriptors) systemCalls.close(descriptor);
      },
    };
    open.push(host);
    return host;
  }

  /** A child SA between the two. Says our SPIs, and 4 octets that only its keys have. */
  function join(a: Host, b: Host, cipher: EspCipher) {
    const keys = { ab: random.octets(cipher.keymatLength), ba: random.octets(cipher.keymatLength) };
    const spis = { a: a.plane.allocateSpi()!, b: b.plane.allocateSpi()! };
    const install = (
      us: Host,
      them: Host,
      sa: { spi: number; theirs: number; in: Uint8Array; out: Uint8Array },
    ): void => {
      us.plane.installChildSa({
        inboundSpi: sa.spi,
        outboundSpi: sa.theirs,
        encryption: cipher.transform,
        integrity: cipher.integrity,
        esn: false,
        inboundKey: sa.in.slice(),
        outboundKey: sa.out.slice(),
        local: [trafficSelector(us.lan)],
        remote: [trafficSelector(them.lan)],
        path: { local: { address: us.address, port: 4500 }, remote: { address: them.address, port: 4500 } },
      });
      us.plane.setPolicies([{ action: "protect", inboundSpi: sa.spi }]);
    };
    install(a, b, { spi: spis.a, theirs: spis.b, in: keys.ba, out: keys.ab });
    install(b, a, { spi: spis.b, theirs: spis.a, in: keys.ab, out: keys.ba });
    return { ...spis, salt: keys.ab.subarray(cipher.keyLength) };
  }
});

function packet(source: string, destination: string, length: number): Uint8Array {
  return innerPacket({ source, destination, payload: new Uint8Array(length).map((_, i) => i) });
}

/** Rounds that a worker has begun. */
function epochOf({ memory }: Host, worker: number): number {
  return new DataView(memory.buffer).getUint32(
    WORKER_BASE + worker * WORKER_SIZE + WORKER_EPOCH_OFFSET,
    true,
  );
}

async function nextPacket(host: Host): Promise<Uint8Array> {
  let found: Uint8Array | undefined;
  await until(() => {
    found = host.stack.drain().find(isOurs);
    return found !== undefined;
  });
  return found!;
}

function flowsIn(host: Host): number {
  return host.stack.drain().filter(isOurs).length;
}

/** The namespace has a life of its own; ours are IPv4 UDP between 10.0.0.0/8. */
function isOurs(octets: Uint8Array): boolean {
  return octets[0] === 0x45 && octets[9] === 17 && octets[12] === 10;
}

async function until(isSo: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!isSo()) {
    if (performance.now() > end) throw new Error("it did not happen within 20 s");
    await pause(2);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
