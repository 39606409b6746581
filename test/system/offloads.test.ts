import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { ConnectionStatus, EngineStatus } from "../../src/engine/status.ts";
import { encodePacketInfo, encodeSocketAddress } from "../../src/platform/socket-address.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { LinuxUdpSocket } from "../../src/platform/udp/linux-udp-socket.ts";
import { openUdpSocket } from "../../src/platform/udp/open-udp-socket.ts";
import { HostProcess, runOn } from "../support/host-process.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { createJoinedHosts, requireRoot, type TestHost } from "../support/namespace.ts";
import { sharedMemory } from "../support/shared-memory.ts";
import { until } from "../support/waiting.ts";

// What goes into a tunnel between two machines comes out of it, to the octet, whatever the offloads of either side:
//
//   10.1.0.1  [ left ] 192.0.2.1 ====== 192.0.2.2 [ right ]  10.2.0.1
//   fd01::1                                                  fd02::1

const INSIDE = { 4: ["10.1.0.1", "10.2.0.1"], 6: ["fd01::1", "fd02::1"] } as const;
const OUTSIDE = ["192.0.2.1", "192.0.2.2"] as const;
const TCP_OCTETS = Number(process.env.IKEBANA_TRANSFER_OCTETS ?? 16_000_000);
const LONGEST = 9000;
const TCP_END = fileURLToPath(new URL("./fixtures/tcp-end.mjs", import.meta.url));

const mayRun = requireRoot("transfers with and without offloads");

interface Site {
  readonly host: TestHost;
  readonly ikebana: IkebanaDaemon;
}

describe.skipIf(!mayRun)("a tunnel between two machines", () => {
  if (!mayRun) return;
  // With an MTU of 9000 and df: clear every large datagram passes the wire in fragments, which the kernel does not segment.
  test.each([
    ["auto", "auto", 1400],
    ["auto", "off", 1400],
    ["off", "off", 1400],
    ["auto", "auto", 9000],
  ] as const)(
    "carries TCP in random pieces and UDP of all sizes intact, offloads %s and %s, MTU %i",
    async (left, right, mtu) => {
      await withTunnel({ offloads: [left, right], mtu }, async (sites) => {
        const isFull = left === "auto" && right === "auto";
        for (const [from, to] of [sites, [...sites].reverse()] as (readonly [Site, Site])[]) {
          for (const family of [4, 6] as const) {
            const [source, destination] = inside(family, from === sites[0]);
            await expectEqualStreams({ from, to, source, destination });
            const step = isFull && mtu === 1400 ? 1 : 7;
            await expectEqualDatagrams({ from, to, source, destination, family, step });
          }
        }
        for (const { ikebana } of sites) expectNoDrops(await ikebana.status());
        expect(sites[0].ikebana.log).not.toContain("not used: ");
      });
    },
    300_000,
  );

  test("moves super-packets of TCP, tens of packets in a system call", async () => {
    await withTunnel({ offloads: ["auto", "auto"], mtu: 1400 }, async ([left, right]) => {
      const [source, destination] = inside(4, true);
      await expectEqualStreams({ from: left, to: right, source, destination });
      const { tunRead, udpTransmit } = (await left.ikebana.status()).dataPlane.systemCalls;
      const { tunWrite, udpReceive } = (await right.ikebana.status()).dataPlane.systemCalls;
      for (const { calls, packets } of [tunRead, udpTransmit, udpReceive]) {
        expect(packets / calls).toBeGreaterThan(3);
      }
      expect(tunWrite.packets / tunWrite.calls).toBeGreaterThan(2);
    });
  });

  test("moves every packet alone when its offloads are off", async () => {
    await withTunnel({ offloads: ["off", "off"], mtu: 1400 }, async ([left, right]) => {
      const [source, destination] = inside(6, true);
      await expectEqualStreams({ from: left, to: right, source, destination });
      const { tunRead } = (await left.ikebana.status()).dataPlane.systemCalls;
      const { tunWrite } = (await right.ikebana.status()).dataPlane.systemCalls;
      for (const { calls, packets } of [tunRead, tunWrite]) expect(packets).toBe(calls);
    });
  });
});

function inside(family: 4 | 6, isForward: boolean): readonly [string, string] {
  const [left, right] = INSIDE[family];
  return isForward ? [left, right] : [right, left];
}

interface Flow {
  readonly from: Site;
  readonly to: Site;
  readonly source: string;
  readonly destination: string;
}

async function expectEqualStreams({ from, to, source, destination }: Flow): Promise<void> {
  const node = process.execPath;
  const sink = new HostProcess(to.host, [node, TCP_END, "sink", destination, "9000"]);
  await until("the sink listens", () => sink.error.includes("listening"));
  const words = ["source", source, destination, "9000", String(TCP_OCTETS)];
  const sent = await runOn(from.host, [node, TCP_END, ...words], { timeoutMs: 120_000 });
  await sink.ended;
  expect(JSON.parse(sink.out)).toMatchObject({ octets: TCP_OCTETS });
  expect(sink.out).toBe(sent.out);
}

/**
 * One datagram of every length, then trains of equal ones that leave as super-packets where there are offloads. Each that
 * arrives is one that was sent; UDP may lose one, but here nothing gives it a reason.
 */
async function expectEqualDatagrams(
  flow: Flow & { readonly family: 4 | 6; readonly step: number },
): Promise<void> {
  const link = new DatagramLink(flow);
  try {
    const lengths = Array.from({ length: Math.ceil(LONGEST / flow.step) }, (_, i) => 1 + i * flow.step);
    for (let i = 0; i < lengths.length; i += 32) await link.carry(lengths.slice(i, i + 32));
    for (const length of [1, 9, 200, 1000, 1300]) {
      await link.carryTrain(length, 40);
      await link.carryTrain(length, 3);
    }
    expect(link.lost).toBeLessThanOrEqual(2);
  } finally {
    link.close();
  }
}

const SEND = 1024 * 1024;

/** A UDP socket at either end of the tunnel, in this process. */
class DatagramLink {
  lost = 0;
  readonly #systemCalls = createLinuxSystemCalls(sharedMemory());
  readonly #octets = new Uint8Array(this.#systemCalls.memory.buffer);
  readonly #left: LinuxUdpSocket;
  readonly #right: LinuxUdpSocket;
  readonly #flow: Flow;
  #number = 0;

  constructor(flow: Flow) {
    this.#flow = flow;
    const open = ({ host }: Site, address: string, index: number): LinuxUdpSocket => {
      const offloads = "auto";
      const socket = host.inside(() => openUdpSocket(this.#systemCalls, { address, port: 7000, offloads }));
      return new LinuxUdpSocket(this.#systemCalls, { ...socket, worker: 1, index });
    };
    this.#left = open(flow.from, flow.source, 0);
    this.#right = open(flow.to, flow.destination, 1);
  }

  /** A datagram of each length. */
  async carry(lengths: readonly number[]): Promise<void> {
    const sent = lengths.map((length) => this.#payload(length));
    let at = SEND;
    for (const payload of sent) {
      this.#queue(payload, { at, segmentLength: payload.length });
      at += payload.length + 64;
    }
    expect(this.#left.transmit()).toBe(sent.length);
    await this.#expect(sent);
  }

  /** `count` datagrams that leave as one message. */
  async carryTrain(length: number, count: number): Promise<void> {
    const sent = Array.from({ length: count }, () => this.#payload(length));
    this.#queue(Buffer.concat(sent), { at: SEND, segmentLength: length });
    expect(this.#left.transmit()).toBe(count);
    await this.#expect(sent);
  }

  close(): void {
    this.#left.close();
    this.#right.close();
  }

  #queue(
    payload: Uint8Array,
    { at, segmentLength }: { readonly at: number; readonly segmentLength: number },
  ): void {
    const peer = encodeSocketAddress({ address: this.#flow.destination, port: 7000 });
    const control = encodePacketInfo(this.#flow.source);
    this.#octets.set(peer, SEND - 256);
    this.#octets.set(control, SEND - 128);
    this.#octets.set(payload, at);
    this.#left.queue({
      address: at,
      length: payload.length,
      segmentLength,
      peer: SEND - 256,
      peerLength: peer.length,
      control: SEND - 128,
      controlLength: control.length,
      trafficClass: 0,
      mayFragment: false,
    });
  }

  /** Different from every other as far as its length allows. */
  #payload(length: number): Uint8Array {
    const number = this.#number++;
    return new Uint8Array(length).map((_, i) => (i < 2 ? number >> (8 * i) : number * 31 + i * 7 + (i >> 8)));
  }

  /** What arrives is among what was sent, each at most once. */
  async #expect(sent: readonly Uint8Array[]): Promise<void> {
    const waiting = sent.map((payload) => Buffer.from(payload).toString("latin1"));
    for (const end = performance.now() + 300; waiting.length > 0 && performance.now() < end; ) {
      const arrived = this.#receive();
      for (const payload of arrived) {
        const found = waiting.indexOf(payload);
        if (found < 0) throw new Error(`a datagram of ${payload.length} octets arrived that nobody sent`);
        waiting.splice(found, 1);
      }
      if (arrived.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    this.lost += waiting.length;
  }

  #receive(): string[] {
    const count = this.#right.receive(64);
    return Array.from({ length: count }, (_, i) => i).flatMap((i) => {
      const at = this.#right.receivedAt(i);
      const length = this.#right.receivedLength(i);
      const segmentLength = this.#right.receivedSegmentLength(i) || length;
      const message = Buffer.from(this.#octets.slice(at, at + length));
      return Array.from({ length: Math.ceil(length / segmentLength) }, (_, piece) =>
        message.toString("latin1", piece * segmentLength, (piece + 1) * segmentLength),
      );
    });
  }
}

async function withTunnel(
  { offloads, mtu }: { readonly offloads: readonly ["auto" | "off", "auto" | "off"]; readonly mtu: number },
  action: (sites: readonly [Site, Site]) => Promise<void>,
): Promise<void> {
  const hosts = await createJoinedHosts({ left: ["192.0.2.1/24"], right: ["192.0.2.2/24"] });
  const daemons: IkebanaDaemon[] = [];
  try {
    for (const [i, host] of [hosts.left, hosts.right].entries()) {
      for (const family of [4, 6] as const) {
        host.run("ip", ["addr", "add", `${INSIDE[family][i]}/${family === 4 ? 24 : 64}`, "dev", "lo"]);
      }
    }
    // The responder first.
    for (const i of [1, 0] as const) {
      const host = i === 0 ? hosts.left : hosts.right;
      daemons.unshift(await startIkebana(host, configuration(i, { offloads: offloads[i], mtu })));
    }
    const [left, right] = daemons as [IkebanaDaemon, IkebanaDaemon];
    const isUp = (connection: ConnectionStatus): boolean => connection.ikeSa?.children[0] !== undefined;
    await until(
      "the tunnel is up",
      async () => isUp(await left.connection()) && isUp(await right.connection()),
    );
    await action([
      { host: hosts.left, ikebana: left },
      { host: hosts.right, ikebana: right },
    ]);
  } finally {
    for (const daemon of daemons) await daemon.stop("SIGKILL");
    await hosts.close();
  }
}

function configuration(
  place: 0 | 1,
  { offloads, mtu }: { readonly offloads: "auto" | "off"; readonly mtu: number },
): string {
  const other = 1 - place;
  const networks = (at: number): string => `[10.${at + 1}.0.0/24, "fd0${at + 1}::/64"]`;
  return `
socket: ikebana.sock
state: state
mtu: ${mtu}
offloads: ${offloads}
connections:
  site:
    local: { address: ${OUTSIDE[place]}, id: "host${place}.example.org", psk: "a secret of the test" }
    remote: { address: ${OUTSIDE[other]}, id: "host${other}.example.org" }
    start: ${place === 0 ? "start" : "respond"}
    children:
      lan: { local: ${networks(place)}, remote: ${networks(other)}, esp: [chacha20poly1305], df: clear }
`;
}

/** Everything that was sealed was opened. What the stack sends by itself, as multicast, has no policy. */
function expectNoDrops({ connections, dataPlane }: EngineStatus): void {
  const { noPolicy: _, ...drops } = dataPlane.drops;
  const [child] = connections[0]!.ikeSa!.children;
  expect([drops, child!.inbound.drops, child!.outbound.drops]).toEqual([{}, {}, {}]);
}
