import { describe, expect, test } from "vitest";
import {
  type ChildSaInstallation,
  createSharedMemory,
  type DataPlane,
  type IkeDatagram,
  lanesOf,
  type SeenElsewhere,
  type StrayEsp,
  startMemoryDataPlane,
} from "../../src/esp/index.ts";
import { MemoryTun } from "../../src/platform/tun/memory-tun.ts";
import { MemoryWire, type WireDatagram } from "../../src/platform/udp/memory-udp.ts";
import { encodeNonEspMarker } from "../../src/wire/udp-encapsulation.ts";
import { ikeShaped } from "../support/ike-shaped.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { SeededRandom } from "../support/kernel.ts";
import { ACK, cutFrame, PSH, superFrame, transportPacket } from "../support/super-packets.ts";
import { trafficSelector } from "../support/traffic-selectors.ts";
import { AES_128_GCM, ALL_CIPHERS, CHACHA20_POLY1305, CIPHERS, type EspCipher } from "./esp-bed.ts";

interface Host {
  readonly address: string;
  readonly lan: string;
  readonly tun: MemoryTun;
  readonly plane: DataPlane;
  readonly mail: IkeDatagram[];
  readonly refusals: string[];
  readonly strays: StrayEsp[];
  readonly elsewhere: SeenElsewhere[];
  readonly memory: WebAssembly.Memory;
}

type Offloads = "auto" | "off";

/** Two gateways on one wire; rounds run when `settle` is called, and time passes when `now` is raised. */
class Pair {
  now = 1000;
  readonly wire = new MemoryWire();
  readonly seen: WireDatagram[] = [];
  readonly #workers: number;
  readonly #due: (() => void)[] = [];
  readonly #random = new SeededRandom(11);
  readonly a: Host;
  readonly b: Host;

  constructor({
    a = "off",
    b = "off",
    workers,
  }: {
    readonly a?: Offloads;
    readonly b?: Offloads;
    readonly workers: number;
  }) {
    this.#workers = workers;
    this.a = this.#host("192.0.2.1", { lan: "10.1.0.0/16", offloads: a });
    this.b = this.#host("192.0.2.2", { lan: "10.2.0.0/16", offloads: b });
    this.wire.onDatagram = (datagram) => this.seen.push(datagram);
  }

  settle(): void {
    for (let run = this.#due.shift(); run !== undefined; run = this.#due.shift()) run();
  }

  /** Both ends of a child SA between the two networks. Returns the inbound SPIs. */
  join(
    cipher: EspCipher = AES_128_GCM,
    halfway: () => void = () => {},
  ): { readonly a: number; readonly b: number } {
    const keyAb = this.#random.octets(cipher.keymatLength);
    const keyBa = this.#random.octets(cipher.keymatLength);
    const spis = { a: this.a.plane.allocateSpi()!, b: this.b.plane.allocateSpi()! };
    const install = (
      us: Host,
      them: Host,
      sa: Pick<ChildSaInstallation, "inboundSpi" | "outboundSpi">,
      keys: [Uint8Array, Uint8Array],
    ) => {
      us.plane.installChildSa({
        ...sa,
        encryption: cipher.transform,
        integrity: cipher.integrity,
        esn: true,
        inboundKey: keys[0].slice(),
        outboundKey: keys[1].slice(),
        local: [trafficSelector(us.lan)],
        remote: [trafficSelector(them.lan)],
        path: {
          local: { address: us.address, port: 4500 },
          remote: { address: them.address, port: 4500 },
        },
      });
      us.plane.setPolicies([{ action: "protect", inboundSpi: sa.inboundSpi }]);
    };
    install(this.a, this.b, { inboundSpi: spis.a, outboundSpi: spis.b }, [keyBa, keyAb]);
    halfway();
    install(this.b, this.a, { inboundSpi: spis.b, outboundSpi: spis.a }, [keyAb, keyBa]);
    return spis;
  }

  #host(address: string, { lan, offloads }: { readonly lan: string; readonly offloads: Offloads }): Host {
    const memory = createSharedMemory();
    const host = this.wire.host([address]);
    const tun = new MemoryTun(memory, { name: "tun0", mtu: 1400, offloads });
    const mail: IkeDatagram[] = [];
    const refusals: string[] = [];
    const strays: StrayEsp[] = [];
    const elsewhere: SeenElsewhere[] = [];
    const { receiver: worker } = lanesOf(this.#workers)[0]!;
    const open = (port: number) => host.openUdpSocket(memory, { family: 4, port, worker, offloads });
    const plane = startMemoryDataPlane({
      memory,
      workers: this.#workers,
      random: { bytes: (length) => this.#random.octets(length) },
      tun,
      sockets: [
        { socket: open(500), carriesEsp: false },
        { socket: open(4500), carriesEsp: true },
      ],
      onIkeDatagram: ({ octets, path }) => mail.push({ octets: octets.slice(), path }),
      onRefusal: (what) => refusals.push(what),
      onStray: (stray) => strays.push(stray),
      onElsewhere: (seen) => elsewhere.push(seen),
      schedule: (run) => this.#due.push(run),
      clock: { now: () => this.now },
    });
    // The first lane gets what comes, and the SAs of the tests go to the second: everything has to be handed over.
    if (this.#workers > 2) plane.allocateSpi();
    return { address, lan, tun, plane, mail, refusals, strays, elsewhere, memory };
  }
}

function ping(from: string, to: string, length = 64): Uint8Array {
  const payload = new Uint8Array(length).map((_, i) => i);
  return innerPacket({ source: from, destination: to, protocol: 1, payload });
}

/** 30 packets of TCP and 20 of UDP as one super-packet each, and what they stand for. */
function superPackets(seed: number): { readonly frames: Uint8Array[]; readonly packets: Uint8Array[] } {
  const random = new SeededRandom(seed);
  const frames = [
    superFrame({ version: 4, kind: "tcp", payload: random.octets(29_500), flags: ACK | PSH }, 1000),
    superFrame({ version: 4, kind: "udp", payload: random.octets(20 * 300), identification: 9 }, 300),
  ];
  return { frames, packets: frames.flatMap(cutFrame) };
}

function packetOf(from: Host, to: Host, number: number): Uint8Array {
  const inside = ({ lan }: Host): string => lan.replace("0.0/16", "0.1");
  const payload = Uint8Array.of(number >>> 8, number);
  return innerPacket({ source: inside(from), destination: inside(to), payload });
}

describe.each([1, 2, 4])("with workers: %i", (workers) => {
  const openPair = (offloads: { readonly a?: Offloads; readonly b?: Offloads } = {}): Pair =>
    new Pair({ ...offloads, workers });
  const ciphers = workers === 1 ? ALL_CIPHERS : CIPHERS;

  test.each(ciphers)("packets go from TUN to TUN as ESP, both ways: $name", (cipher) => {
    const pair = openPair();
    const spis = pair.join(cipher);
    const request = ping("10.1.0.1", "10.2.0.1");
    const reply = ping("10.2.0.1", "10.1.0.1");
    pair.a.tun.inject(request);
    pair.settle();
    expect(pair.b.tun.drain()).toEqual([request]);
    pair.b.tun.inject(reply);
    pair.settle();
    expect(pair.a.tun.drain()).toEqual([reply]);

    expect(pair.seen.map(({ from, to }) => [from, to])).toEqual([
      [
        { address: "192.0.2.1", port: 4500 },
        { address: "192.0.2.2", port: 4500 },
      ],
      [
        { address: "192.0.2.2", port: 4500 },
        { address: "192.0.2.1", port: 4500 },
      ],
    ]);
    const isReadable = Buffer.from(pair.seen[0]!.octets).includes(Buffer.from(request.subarray(24)));
    expect(isReadable).toBe(!cipher.isSecret);
    const { inbound, outbound } = pair.a.plane.traffic(spis.a)!;
    expect([inbound.packets, inbound.octets, inbound.sequence]).toEqual([1, reply.length, 1]);
    expect([outbound.packets, outbound.octets, outbound.sequence]).toEqual([1, request.length, 1]);
    expect(outbound.lastUsedMs).toBeGreaterThan(0);
    expect(inbound.lastUsedMs).toBeGreaterThanOrEqual(outbound.lastUsedMs);
  });

  test("what comes for an SPI that is announced and has no keys is held, and opened when it has", () => {
    const pair = openPair();
    const packets = Array.from({ length: 300 }, (_, i) => packetOf(pair.a, pair.b, i));
    pair.join(AES_128_GCM, () => {
      for (const packet of packets) {
        pair.a.tun.inject(packet);
        pair.settle();
      }
      expect(pair.b.tun.drain()).toEqual([]);
      // 256 wait, for all SPIs together; the rest is lost and counted.
      expect(pair.b.plane.drops).toEqual({ noSa: 300 - 256 });
    });
    pair.settle();
    expect(pair.b.tun.drain()).toEqual(packets.slice(0, 256));
    expect(pair.b.plane.drops).toEqual({ noSa: 300 - 256 });
  });

  test("what is held for longer than 200 ms is lost", () => {
    const pair = openPair();
    pair.join(AES_128_GCM, () => {
      pair.a.tun.inject(packetOf(pair.a, pair.b, 1));
      pair.settle();
      pair.now += 201;
      expect(pair.b.plane.drops).toEqual({});
    });
    pair.settle();
    expect(pair.b.tun.drain()).toEqual([]);
    expect(pair.b.plane.drops).toEqual({ noSa: 1 });
  });

  test("a thousand packets of all lengths arrive in order", () => {
    const pair = openPair();
    pair.join();
    const packets = Array.from({ length: 1000 }, (_, i) => ping("10.1.0.1", "10.2.0.1", i));
    const arrived: Uint8Array[] = [];
    pair.b.tun.onWritten = () => arrived.push(...pair.b.tun.drain());
    for (const packet of packets) {
      while (!pair.a.tun.inject(packet)) pair.settle();
    }
    pair.settle();
    expect(arrived).toHaveLength(packets.length);
    expect(Buffer.compare(Buffer.concat(arrived), Buffer.concat(packets))).toBe(0);
  });

  test("IKE datagrams reach the engine from both ports without their marker, keepalives reach nobody, runts are counted", () => {
    const pair = openPair();
    const { a, b } = pair;
    const message = ikeShaped(new SeededRandom(3).octets(300));
    const short = ikeShaped(message.subarray(0, 100));
    const send = (octets: Uint8Array, port: number): void => {
      pair.wire.carry({
        from: { address: b.address, port },
        to: { address: a.address, port },
        octets,
      });
    };
    send(message, 500);
    send(encodeNonEspMarker(short), 4500);
    send(encodeNonEspMarker(message.subarray(0, 100)), 4500);
    send(Uint8Array.of(0xff), 4500);
    send(Uint8Array.of(1, 2, 3), 4500);
    send(Uint8Array.of(1, 2, 3, 4, 5), 4500);
    send(new Uint8Array(0), 4500);
    pair.settle();
    const path = (port: number) => ({
      local: { address: a.address, port },
      remote: { address: b.address, port },
    });
    expect(a.mail).toEqual([
      { octets: message, path: path(500) },
      { octets: short, path: path(4500) },
    ]);
    expect(a.plane.drops).toEqual({ malformed: 1, runt: 3 });
    expect(a.tun.drain()).toEqual([]);
  });

  test("a mailbox that nobody empties refuses what does not fit and keeps half for IKE SAs, and a TUN device that is down what it is given", () => {
    const pair = openPair();
    const { a, b } = pair;
    const spis = pair.join();
    // Of strangers the first twenty, then of somebody with an IKE SA.
    const mail = (i: number): Uint8Array => {
      const octets = ikeShaped(new Uint8Array(60_000).fill(i));
      octets[19] = 0; // our SPI is the first
      return octets;
    };
    for (let i = 20; i < 40; i++) a.plane.noteIkeSpi(BigInt(i) * 0x0101_0101_0101_0101n, true);
    for (let i = 0; i < 40; i++) {
      pair.wire.carry({
        from: { address: b.address, port: 500 },
        to: { address: a.address, port: 500 },
        octets: mail(i),
      });
    }
    // All forty arrive in one round, before the engine looks into the mailbox.
    pair.settle();
    expect(a.mail.map(({ octets }) => octets[7])).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 20, 21, 22, 23, 24, 25, 26, 27, 28,
    ]);
    expect(a.plane.drops).toEqual({ mailboxFull: 23 });

    b.tun.isUp = false;
    a.tun.inject(ping("10.1.0.1", "10.2.0.1"));
    pair.settle();
    expect(b.plane.traffic(spis.b)!.inbound).toMatchObject({ packets: 1, drops: { deviceRefused: 1 } });
  });

  test("nothing leaves without an SA: before policies, outside them, under discard and after removal", async () => {
    const pair = openPair();
    const { plane, tun } = pair.a;
    tun.inject(ping("10.1.0.1", "10.2.0.1"));
    pair.settle();
    expect(plane.drops).toEqual({ noPolicy: 1 });

    plane.setPolicies([
      {
        action: "discard",
        selectors: { local: [trafficSelector("10.1.0.0/16")], remote: [trafficSelector("10.2.0.0/16")] },
      },
    ]);
    tun.inject(ping("10.1.0.1", "10.2.0.1"));
    pair.settle();
    expect(plane.drops).toEqual({ noPolicy: 1, noSa: 1 });

    const spis = pair.join();
    tun.inject(ping("10.1.0.1", "10.9.0.1"));
    pair.settle();
    expect(plane.drops).toEqual({ noPolicy: 2, noSa: 1 });

    await plane.removeChildSa(spis.a);
    tun.inject(ping("10.1.0.1", "10.2.0.1"));
    pair.settle();
    expect(plane.drops).toEqual({ noPolicy: 2, noSa: 2 });
    expect(pair.seen).toEqual([]);
    expect(plane.traffic(spis.a)).toBeUndefined();
  });

  test("an SA that moves sends along its new path from the next packet on", async () => {
    const pair = openPair();
    const spis = pair.join();
    const move = (port: number): void =>
      pair.a.plane.moveChildSa({
        inboundSpi: spis.a,
        path: {
          local: { address: "192.0.2.1", port: 4500 },
          remote: { address: "192.0.2.2", port },
        },
      });
    // Two moves at once: the second waits until the first has settled, and holds in the end.
    move(4501);
    move(4502);
    await Promise.resolve();
    await Promise.resolve();
    pair.a.tun.inject(ping("10.1.0.1", "10.2.0.1"));
    pair.settle();
    expect(pair.seen.map(({ to }) => to.port)).toEqual([4502]);
    expect(() =>
      pair.a.plane.moveChildSa({
        inboundSpi: spis.a,
        path: { local: { address: "192.0.2.1", port: 500 }, remote: { address: "192.0.2.2", port: 500 } },
      }),
    ).toThrow("no IPv4 socket for ESP is open on UDP port 500");
  });

  test.each(["off", "auto"] as const)(
    "traffic classes show outside, and what the path made of them inside, offloads %s",
    (offloads) => {
      const pair = openPair({ a: offloads, b: offloads });
      const spis = pair.join();
      const packets = [0xb8, 0xb8, 0, 0xba, 0xba, 0xba, 0].map((trafficClass, i) =>
        transportPacket({
          version: 4,
          kind: "udp",
          trafficClass,
          sourcePort: i,
          payload: new Uint8Array(100),
        }),
      );
      const arrived = Array.from({ length: 2 }, () => {
        for (const packet of packets) pair.a.tun.inject(packet);
        pair.settle();
        // Only those that know ECN are marked in the second round.
        pair.wire.filter = (datagram) => [
          {
            ...datagram,
            trafficClass: (datagram.trafficClass ?? 0) | (datagram.trafficClass === 0xba ? 3 : 0),
          },
        ];
        return pair.b.tun.drain().map((packet) => packet[1]);
      });
      expect(pair.seen.slice(0, 7).map(({ trafficClass }) => trafficClass)).toEqual(
        packets.map(([, tos]) => tos),
      );
      expect(arrived).toEqual([
        [0xb8, 0xb8, 0, 0xba, 0xba, 0xba, 0],
        [0xb8, 0xb8, 0, 0xbb, 0xbb, 0xbb, 0],
      ]);
      expect(pair.b.plane.traffic(spis.b)!.inbound).toMatchObject({ packets: 14, drops: {} });
      // One message for each run of equal ones.
      const { calls, packets: sent } = pair.a.plane.tallies.udpTransmit;
      expect([calls, sent]).toEqual([2, 14]);
      const trains = pair.seen.slice(0, 7).map(({ train }) => train);
      expect(new Set(trains.filter((train) => train !== undefined)).size).toBe(offloads === "auto" ? 2 : 0);
    },
  );

  test("what was held for its keys keeps the traffic class it came with", () => {
    const pair = openPair();
    pair.wire.filter = (datagram) => [{ ...datagram, trafficClass: 3 }];
    const payload = new Uint8Array(10);
    pair.join(AES_128_GCM, () => {
      for (const trafficClass of [2, 1]) {
        pair.a.tun.inject(transportPacket({ version: 4, kind: "udp", trafficClass, payload }));
        pair.settle();
      }
    });
    pair.settle();
    expect(pair.b.tun.drain().map((packet) => packet[1])).toEqual([3, 3]);
  });

  test("a stopped data plane moves nothing and holds no key", async () => {
    const pair = openPair();
    const key = new Uint8Array(36).map((_, i) => 0x51 + 3 * i);
    const inboundSpi = pair.a.plane.allocateSpi()!;
    const installation = {
      inboundSpi,
      outboundSpi: 0x1234_5678,
      encryption: CHACHA20_POLY1305.transform,
      esn: false,
      inboundKey: key.slice(),
      outboundKey: key.slice(),
      local: [trafficSelector("10.1.0.0/16")],
      remote: [trafficSelector("10.2.0.0/16")],
      path: { local: { address: "192.0.2.1", port: 4500 }, remote: { address: "192.0.2.2", port: 4500 } },
    };
    pair.a.plane.installChildSa(installation);
    expect([...installation.inboundKey, ...installation.outboundKey].every((octet) => octet === 0)).toBe(
      true,
    );
    pair.a.plane.setPolicies([{ action: "protect", inboundSpi }]);
    pair.a.tun.inject(ping("10.1.0.1", "10.2.0.1"));
    pair.settle();
    expect(pair.seen).toHaveLength(1);
    const memory = Buffer.from(pair.a.memory.buffer);
    const holds = (octets: Uint8Array): boolean => memory.includes(Buffer.from(octets));
    expect(holds(key.subarray(0, 16))).toBe(true);

    await pair.a.plane.stop();
    expect(holds(key.subarray(0, 8))).toBe(false);
    expect(holds(key.subarray(32))).toBe(false);
    pair.a.tun.inject(ping("10.1.0.1", "10.2.0.1"));
    pair.settle();
    expect(pair.seen).toHaveLength(1);
  });

  describe("a data plane with offloads", () => {
    test.each(ciphers)("takes super-packets and gives the same, in one message each: $name", (cipher) => {
      const pair = openPair({ a: "auto", b: "auto" });
      const spis = pair.join(cipher);
      const { frames, packets } = superPackets(1);
      for (const frame of frames) pair.a.tun.injectFrame(frame);
      pair.settle();
      expect(pair.seen.length).toBe(50);
      const arrived = pair.b.tun.drainFrames();
      expect(arrived.length).toBe(2);
      expect(arrived.flatMap(cutFrame)).toEqual(packets);
      expect(pair.b.plane.traffic(spis.b)!.inbound).toMatchObject({ packets: 50, drops: {} });
    });

    test.each([
      ["auto", "off"],
      ["off", "auto"],
    ] as const)("and one without understand one another: %s to %s", (a, b) => {
      const pair = openPair({ a, b });
      pair.join();
      const { frames, packets } = superPackets(2);
      if (a === "auto") for (const frame of frames) pair.a.tun.injectFrame(frame);
      else for (const packet of packets) pair.a.tun.inject(packet);
      pair.settle();
      const arrived = pair.b.tun.drainFrames();
      expect(b === "auto" ? arrived.flatMap(cutFrame) : arrived).toEqual(packets);
    });

    test("whose device takes no super-packets writes every packet as it came, and says so once", () => {
      const pair = openPair({ a: "auto", b: "auto" });
      const spis = pair.join();
      pair.b.tun.refusesSuperPackets = true;
      for (const seed of [3, 4]) {
        const { frames, packets } = superPackets(seed);
        for (const frame of frames) pair.a.tun.injectFrame(frame);
        pair.settle();
        expect(pair.b.tun.drain()).toEqual(packets);
      }
      expect(pair.b.refusals).toEqual(["TUN device tun0: the kernel takes no super-packets (EINVAL)"]);
      expect(pair.b.plane.traffic(spis.b)!.inbound).toMatchObject({ packets: 100, drops: {} });
    });

    test("counts every packet of a super-packet that the device refuses", () => {
      const pair = openPair({ a: "auto", b: "auto" });
      const spis = pair.join();
      pair.b.tun.isUp = false;
      for (const frame of superPackets(5).frames) pair.a.tun.injectFrame(frame);
      pair.settle();
      expect(pair.b.plane.traffic(spis.b)!.inbound.drops).toEqual({ deviceRefused: 50 });
    });

    test("counts every datagram of a message that has nowhere to go", () => {
      const pair = openPair({ a: "auto", b: "auto" });
      const spis = pair.join();
      pair.a.plane.moveChildSa({
        inboundSpi: spis.a,
        path: { local: { address: "192.0.2.77", port: 4500 }, remote: { address: "192.0.2.2", port: 4500 } },
      });
      for (const frame of superPackets(6).frames) pair.a.tun.injectFrame(frame);
      pair.settle();
      expect(pair.seen).toEqual([]);
      expect(pair.a.plane.drops).toEqual({ deviceRefused: 50 });
    });

    test("tells ESP, IKE, runts and keepalives apart within one message", () => {
      const pair = openPair({ a: "auto", b: "auto" });
      pair.join();
      const inner = ping("10.1.0.1", "10.2.0.1", 64);
      pair.wire.filter = () => [];
      pair.a.tun.inject(inner);
      pair.settle();
      const esp = pair.seen[0]!;
      const ike = encodeNonEspMarker(ikeShaped(new SeededRandom(8).octets(esp.octets.length - 4)));
      for (const octets of [ike, esp.octets, ike, Uint8Array.of(0xff)]) {
        pair.wire.deliver({ ...esp, octets, train: 77 });
      }
      for (const octets of [esp.octets, Uint8Array.of(1, 2, 3)]) {
        pair.wire.deliver({ ...esp, octets, train: 78 });
      }
      pair.settle();
      expect(pair.b.mail.map(({ octets }) => octets)).toEqual([ike.subarray(4), ike.subarray(4)]);
      expect(pair.b.tun.drain()).toEqual([inner]);
      expect(pair.b.plane.drops).toEqual({ runt: 1 });
      expect(pair.b.plane.tallies.udpReceive).toMatchObject({ calls: 1, packets: 6 });
    });

    test("opens more datagrams than fit into one batch of the kernel", () => {
      const pair = openPair({ a: "auto", b: "auto" });
      pair.join();
      const held: WireDatagram[] = [];
      pair.wire.filter = (datagram) => {
        held.push(datagram);
        return [];
      };
      const payload = new SeededRandom(9).octets(64 * 50);
      const sent = Array.from({ length: 30 }, (_, i) =>
        superFrame({ version: 4, kind: "udp", payload, identification: i * 64, sourcePort: 2000 + i }, 50),
      );
      for (const frame of sent) pair.a.tun.injectFrame(frame);
      pair.settle();
      expect(held.length).toBe(30 * 64);
      // More than the socket of the other side holds at once.
      for (const part of [held.slice(0, 1024), held.slice(1024)]) {
        for (const datagram of part) pair.wire.deliver(datagram);
        pair.settle();
      }
      const arrived = pair.b.tun.drainFrames().flatMap(cutFrame);
      expect(Buffer.compare(Buffer.concat(arrived), Buffer.concat(sent.flatMap(cutFrame)))).toBe(0);
    });

    test("tallies calls, packets, octets and how many packets a call moved", () => {
      const pair = openPair({ a: "auto", b: "auto" });
      pair.join();
      for (const frame of superPackets(10).frames) pair.a.tun.injectFrame(frame);
      pair.a.tun.inject(ping("10.1.0.1", "10.2.0.1"));
      pair.settle();
      const { a, b } = pair;
      const none = { calls: 0, packets: 0, octets: 0, batchSizes: [0, 0, 0, 0, 0, 0, 0, 0] };
      expect(a.plane.tallies.tunRead).toMatchObject({
        calls: 3,
        packets: 51,
        batchSizes: [1, 0, 0, 0, 2, 0, 0, 0],
      });
      expect(a.plane.tallies.udpTransmit).toMatchObject({
        calls: 1,
        packets: 51,
        batchSizes: [0, 0, 0, 0, 0, 1, 0, 0],
      });
      expect(b.plane.tallies.udpReceive).toMatchObject({ calls: 1, packets: 51 });
      expect(b.plane.tallies.udpReceive.octets).toBe(a.plane.tallies.udpTransmit.octets);
      expect(b.plane.tallies.tunWrite).toMatchObject({
        calls: 3,
        packets: 51,
        batchSizes: [1, 0, 0, 0, 2, 0, 0, 0],
      });
      expect([a.plane.tallies.tunWrite, b.plane.tallies.tunRead]).toEqual([none, none]);
    });
  });

  test("a ping leaves before what a transfer has sent ahead of it", () => {
    const pair = openPair();
    pair.join();
    const order: number[] = [];
    pair.b.tun.onWritten = () => {
      for (const packet of pair.b.tun.drain()) order.push(packet[9]!);
    };
    const bulk = innerPacket({
      source: "10.1.0.1",
      destination: "10.2.0.1",
      protocol: 6,
      sourcePort: 1000,
      destinationPort: 80,
      payload: new Uint8Array(1300),
    });
    for (let i = 0; i < 400; i++) pair.a.tun.inject(bulk);
    pair.a.tun.inject(ping("10.1.0.1", "10.2.0.1"));
    pair.settle();
    expect(order).toHaveLength(401);
    // One burst may be under way.
    expect(order.indexOf(1)).toBeLessThan(100);
  });

  test("ESP for an SPI that is not ours is told of once a second, with where it came from; what is short or awaited is not", async () => {
    const pair = openPair();
    const stranger = pair.wire.host(["192.0.2.9"]);
    const send = (spi: number, length: number): void => {
      const octets = new Uint8Array(length);
      new DataView(octets.buffer).setUint32(0, spi);
      stranger.send({
        octets,
        from: { address: "192.0.2.9", port: 40_000 },
        to: { address: "192.0.2.1", port: 4500 },
      });
      pair.settle();
    };
    send(0xdead_beef, 43);
    send(pair.a.plane.allocateSpi()!, 100);
    await Promise.resolve();
    expect(pair.a.strays).toEqual([]);
    for (let i = 0; i < 100; i++) send(0xdead_beef, 100);
    for (let i = 1; i <= 8; i++) send(0xdead_beef + i, 100);
    await Promise.resolve();
    expect(pair.a.strays[0]).toEqual({
      spi: 0xdead_beef,
      path: {
        local: { address: "192.0.2.1", port: 4500 },
        remote: { address: "192.0.2.9", port: 40_000 },
      },
    });
    expect(pair.a.strays.filter(({ spi }) => spi === 0xdead_beef).length).toBeLessThan(100);
    expect(new Set(pair.a.strays.map(({ spi }) => spi)).size).toBe(9);
  });

  test("a peer that sends from elsewhere is told of by what is authentic and newest, and by nothing else", async () => {
    const pair = new Pair({ workers: 1 });
    const spis = pair.join();
    const turned = { address: "198.51.100.9", port: 31_000 };
    const send = (): WireDatagram => {
      pair.a.tun.inject(ping("10.1.0.1", "10.2.0.1"));
      pair.settle();
      return pair.seen.at(-1)!;
    };
    const arrive = async (datagram: WireDatagram): Promise<number> => {
      pair.wire.deliver(datagram);
      pair.settle();
      await Promise.resolve();
      pair.now += 1000;
      return pair.b.elsewhere.splice(0).length;
    };
    const first = send();
    expect(await arrive({ ...first, from: turned })).toBe(0); // the same once more
    pair.wire.filter = () => [];
    const [older, newer, forged] = [send(), send(), send()];
    forged.octets[30]! ^= 1;
    expect(await arrive({ ...forged, from: turned })).toBe(0);
    expect(await arrive(newer)).toBe(0);
    expect(await arrive({ ...older, from: turned })).toBe(0); // a newer one has come from where the peer is

    pair.wire.deliver({ ...send(), from: turned });
    pair.settle();
    await Promise.resolve();
    expect(pair.b.elsewhere.splice(0)).toEqual([
      { inboundSpi: spis.b, path: { local: { address: "192.0.2.2", port: 4500 }, remote: turned } },
    ]);
    pair.now += 1000;
    const path = { local: { address: "192.0.2.2", port: 4500 }, remote: turned };
    pair.b.plane.moveChildSa({ inboundSpi: spis.b, path });
    expect(await arrive({ ...send(), from: turned })).toBe(0);
    expect(await arrive(send())).toBe(1);
    expect(pair.b.plane.traffic(spis.b)!.inbound.drops).toEqual({ replayed: 1, integrityFailed: 1 });
  });

  test("super-packets that leave in pieces, since a ping came between, arrive whole and in order", () => {
    const pair = openPair({ a: "auto", b: "auto" });
    pair.join();
    const random = new SeededRandom(8);
    const frames = Array.from({ length: 12 }, (_, i) =>
      superFrame(
        {
          version: 4,
          kind: "tcp",
          payload: random.octets(60_000 + i),
          sequence: 1000 + 60_000 * i,
          identification: 50 * i,
          flags: ACK,
        },
        1300,
      ),
    );
    const echo = ping("10.1.0.1", "10.2.0.1");
    const arrived: Uint8Array[] = [];
    let pingsBefore = 0;
    let transferred = 0;
    pair.b.tun.onWritten = () => {
      for (const frame of pair.b.tun.drainFrames()) {
        const packets = cutFrame(frame);
        const isPing = packets[0]![9] === 1;
        if (!isPing) transferred += packets.length;
        else if (transferred < 8 * 47) pingsBefore++;
        arrived.push(...packets);
      }
    };
    for (let i = 0; i < frames.length; i++) {
      expect(pair.a.tun.injectFrame(frames[i]!)).toBe(true);
      if (i % 3 === 2) expect(pair.a.tun.inject(echo)).toBe(true);
    }
    pair.settle();
    const isPing = (packet: Uint8Array): boolean => packet[9] === 1;
    expect(arrived.filter((packet) => !isPing(packet))).toEqual(frames.flatMap(cutFrame));
    expect(arrived.filter(isPing)).toEqual(Array.from({ length: 4 }, () => echo));
    // All four have come before two thirds of the transfer.
    expect(pingsBefore).toBe(4);
    const { tunRead } = pair.a.plane.tallies;
    expect(tunRead.packets).toBe(frames.flatMap(cutFrame).length + 4);
  });

  test("a transfer that is too fast for long loses single segments, and its super-packets go on", () => {
    const pair = openPair({ a: "auto", b: "auto" });
    pair.join();
    const random = new SeededRandom(9);
    const frames = Array.from({ length: 60 }, (_, i) =>
      superFrame(
        { version: 4, kind: "tcp", payload: random.octets(13_000), sequence: 13_000 * i, flags: ACK },
        1300,
      ),
    );
    let injected = 0;
    let arrived = 0;
    pair.b.tun.onWritten = () => {
      for (const frame of pair.b.tun.drainFrames()) arrived += cutFrame(frame).length;
      // As much comes as leaves, and each burst takes 20 ms.
      pair.now += 20;
      if (injected < frames.length) pair.a.tun.injectFrame(frames[injected++]!);
    };
    while (injected < 20) pair.a.tun.injectFrame(frames[injected++]!);
    pair.settle();
    const { shed = 0 } = pair.a.plane.drops;
    expect(shed).toBeGreaterThan(2);
    expect(shed).toBeLessThan(60);
    expect(arrived).toBe(600 - shed);
  });
});
