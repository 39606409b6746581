import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import {
  SA_ACTIVE,
  SA_BASE,
  SA_SEQUENCE_OFFSET,
  SA_SLOT_COUNT,
  SA_SLOT_SIZE,
  SA_SPI_OFFSET,
  SA_STATE_OFFSET,
} from "../../assembly/layout.ts";
import {
  type ChildSaTraffic,
  createSharedMemory,
  type DataPlane,
  startDataPlane,
} from "../../src/esp/index.ts";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { PacketCapture } from "../../src/platform/packet-capture.ts";
import { openRawEspSocket } from "../../src/platform/raw-esp/open-raw-esp-socket.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { openTun } from "../../src/platform/tun/linux-tun.ts";
import { openUdpSocket } from "../../src/platform/udp/open-udp-socket.ts";
import type { EspCipher } from "../esp/esp-bed.ts";
import { SeededRandom } from "../support/kernel.ts";
import { raiseLoopback } from "../support/namespace.ts";
import { trafficSelector } from "../support/traffic-selectors.ts";
import { until } from "../support/waiting.ts";
import { GUEST_LINK_ADDRESS, Guest } from "./guest.ts";
import { kernelAlgorithm } from "./kernel-algorithm.ts";

// Our data plane in the network namespace of this thread, and a Linux kernel at the other end of a TAP device:
//
//   10.1.0.1  tun [data plane] 192.0.2.1      tap0 ======== eth0 [guest] 192.0.2.2       10.2.0.1
//   fd01::1                    2001:db8:1::1                             2001:db8:1::2   fd02::1

type Family = 4 | 6;
const FAMILIES = [4, 6] as const;
const OUTSIDE = {
  4: { us: "192.0.2.1", guest: "192.0.2.2", length: 24 },
  6: { us: "2001:db8:1::1", guest: "2001:db8:1::2", length: 64 },
} as const;
const INSIDE = {
  4: { us: "10.1.0.1", guest: "10.2.0.1", length: 32 },
  6: { us: "fd01::1", guest: "fd02::1", length: 128 },
} as const;
const LINK_ADDRESS = "02:00:00:00:00:01";
/** Of what the data plane sends: it goes out by the TAP device whatever the routes of others say. */
const MARK = 7;
const TABLE = 7;
const ESP_PORT = 4500;
const REPLAY_WINDOW = 128;
/** 2^32 - 4: a few packets before the low half of an extended sequence number is 0 again. */
const NEAR_THE_END = 0xffff_fffc;
/** Less than half of the numbers from there, so that whoever has not seen anything follows. */
const HALF_WAY = 0x8000_0000;

export interface Keying {
  readonly cipher: EspCipher;
  /** Of the addresses outside. */
  readonly family: Family;
  readonly mode: "tunnel" | "transport";
  readonly isInUdp: boolean;
  readonly esn: boolean;
}

/** A pair of SAs between the two, with keys by hand. */
export interface Association {
  /** What our side counts. */
  readonly traffic: ChildSaTraffic;
  /** What the guest's kernel says of its SAs. */
  guestStates(): Promise<string>;
  /** Brings both directions to a few packets before 2^32, as if so many had gone before. `roundTrip` makes a packet pass each way. */
  wearOut(roundTrip: () => Promise<void>): Promise<void>;
  remove(): Promise<void>;
}

export interface GuestLink {
  readonly guest: Guest;
  /** What passes on the TAP device. */
  watch(): PacketCapture;
  key(keying: Keying): Promise<Association>;
  readonly plane: DataPlane;
  close(): Promise<void>;
}

/** Boots a guest beside a data plane, in the network namespace of this thread, which has to be a fresh one. */
export async function openGuestLink(): Promise<GuestLink> {
  raiseLoopback(FAMILIES.map((family) => `${INSIDE[family].us}/${INSIDE[family].length}`));
  for (const scope of ["all", "default"]) writeFileSync(`/proc/sys/net/ipv4/conf/${scope}/rp_filter`, "0");
  ip("tuntap add tap0 mode tap");
  ip(`link set tap0 address ${LINK_ADDRESS} up`);
  const memory = createSharedMemory();
  const systemCalls = createLinuxSystemCalls(memory);
  const tun = openTun(systemCalls, { name: "tun0", mtu: 1280, offloads: "auto" });
  ip("link set tun0 up");
  for (const family of FAMILIES) {
    const [outside, inside] = [OUTSIDE[family], INSIDE[family]];
    ip(`addr add ${outside.us}/${outside.length} dev tap0 ${family === 6 ? "nodad" : ""}`);
    // Neighbours know each other: their questions would meet the guest's policies for transport mode.
    ip(`neigh add ${outside.guest} lladdr ${GUEST_LINK_ADDRESS} nud permanent dev tap0`);
    ip(`-${family} rule add fwmark ${MARK} lookup ${TABLE}`);
    ip(`-${family} route add ${outside.guest} dev tap0 src ${outside.us} table ${TABLE}`);
    ip(`route add ${inside.guest} dev tun0 src ${inside.us}`);
  }
  const guest = await bootGuest();
  const random = new SeededRandom(50);
  const raw = FAMILIES.map((family) => openRawEspSocket(systemCalls, { family, mark: MARK }));
  const udp = ["0.0.0.0", "::"].map((address) =>
    openUdpSocket(systemCalls, { address, port: ESP_PORT, mark: MARK, offloads: "auto" }),
  );
  const plane = await startDataPlane({
    memory,
    systemCalls,
    random: { bytes: (length) => random.octets(length) },
    tun,
    sockets: [
      ...udp.map((socket) => ({ socket, carriesEsp: true })),
      ...raw.map((socket) => ({ socket, carriesEsp: false, isRaw: true })),
    ],
    onIkeDatagram: () => {},
    onFailure: (error) => {
      throw error;
    },
  });

  return {
    guest,
    plane,
    watch: () => {
      const network = new LinuxNetwork(systemCalls);
      const link = network.linkIndex("tap0")!;
      network.close();
      return new PacketCapture({ link });
    },
    key: (keying) => associate({ keying, guest, plane, memory, random }),
    close: async () => {
      await guest.stop();
      await plane.stop();
      for (const { descriptor } of [tun, ...raw, ...udp]) systemCalls.close(descriptor);
    },
  };
}

async function bootGuest(): Promise<Guest> {
  const guest = await Guest.boot({ tap: "tap0" });
  try {
    await prepareGuest(guest);
    return guest;
  } catch (error) {
    await guest.stop();
    throw error;
  }
}

async function prepareGuest(guest: Guest): Promise<void> {
  await guest.ip(
    FAMILIES.flatMap((family) => {
      const [outside, inside] = [OUTSIDE[family], INSIDE[family]];
      const noDad = family === 6 ? "nodad" : "";
      return [
        `addr add ${outside.guest}/${outside.length} dev eth0 ${noDad}`,
        `addr add ${inside.guest}/${inside.length} dev lo ${noDad}`,
        `neigh add ${outside.us} lladdr ${LINK_ADDRESS} nud permanent dev eth0`,
        `route add ${inside.us} via ${outside.us} src ${inside.guest}`,
      ];
    }),
  );
  // The kernel takes ESP out of UDP for a socket that says so: level 17 is UDP, option 100 UDP_ENCAP, 2 UDP_ENCAP_ESPINUDP.
  const socket = guest.start(
    `perl -MSocket=:all -e '$| = 1;
      for ([AF_INET, pack_sockaddr_in(${ESP_PORT}, INADDR_ANY)], [AF_INET6, pack_sockaddr_in6(${ESP_PORT}, IN6ADDR_ANY)]) {
        socket(my $s, $_->[0], SOCK_DGRAM, 0) or die $!;
        setsockopt($s, IPPROTO_IPV6, IPV6_V6ONLY, 1) if $_->[0] == AF_INET6;
        bind($s, $_->[1]) or die $!;
        setsockopt($s, 17, 100, pack("i", 2)) or die $!;
        push @open, $s;
      }
      print "open\\n"; sleep'`.replaceAll(/\s+/g, " "),
  );
  await until("the guest takes ESP in UDP", () => socket.out.includes("open"), {
    describe: () => socket.out,
  });
}

async function associate({
  keying,
  guest,
  plane,
  memory,
  random,
}: {
  readonly keying: Keying;
  readonly guest: Guest;
  readonly plane: DataPlane;
  readonly memory: WebAssembly.Memory;
  readonly random: SeededRandom;
}): Promise<Association> {
  const { cipher, family, mode, isInUdp, esn } = keying;
  const outside = OUTSIDE[family];
  const isTransport = mode === "transport";
  const pairs = pairsOf(keying);
  const keys = { in: random.octets(cipher.keymatLength), out: random.octets(cipher.keymatLength) };
  const inboundSpi = plane.allocateSpi()!;
  const outboundSpi = 0x1000 + random.below(0x1000_0000);
  const port = isInUdp ? ESP_PORT : 500;
  plane.installChildSa({
    inboundSpi,
    outboundSpi,
    encryption: cipher.transform,
    integrity: cipher.integrity,
    esn,
    inboundKey: keys.in.slice(),
    outboundKey: keys.out.slice(),
    local: pairs.map(({ us }) => trafficSelector(hostPrefix(us))),
    remote: pairs.map(({ guest: them }) => trafficSelector(hostPrefix(them))),
    path: { local: { address: outside.us, port }, remote: { address: outside.guest, port } },
    replayWindowPackets: REPLAY_WINDOW,
    isTransport,
  });
  plane.setPolicies([{ action: "protect", inboundSpi }]);
  if (isTransport) ip(`route add ${outside.guest} dev tun0 src ${outside.us}`);

  const ends = {
    in: `src ${outside.us} dst ${outside.guest}`,
    out: `src ${outside.guest} dst ${outside.us}`,
  };
  const spis = { in: outboundSpi, out: inboundSpi };
  // The guest's way in is ours out.
  const guestKeys = { in: keys.out, out: keys.in };
  const state = (way: "in" | "out", more = ""): string =>
    [
      `xfrm state add ${ends[way]} proto esp spi ${spis[way]} reqid 1 mode ${mode}`,
      esn ? `replay-window ${REPLAY_WINDOW} flag esn` : "replay-window 32",
      isTransport ? "" : "flag af-unspec",
      kernelAlgorithm(cipher, guestKeys[way]),
      isInUdp ? `encap espinudp ${ESP_PORT} ${ESP_PORT} ${family === 4 ? "0.0.0.0" : "::"}` : "",
      more,
    ].join(" ");
  const policies = pairs.flatMap(({ us, guest: them }) =>
    (["in", "out"] as const).flatMap((way) => {
      const selector = way === "in" ? `src ${us} dst ${them}` : `src ${them} dst ${us}`;
      const protect = `dir ${way} priority 20 tmpl ${ends[way]} proto esp reqid 1 mode ${mode}`;
      // In transport mode ESP in UDP is itself between the two addresses, and has to pass, as IKE daemons see to.
      const udp = `proto udp sport ${ESP_PORT} dport ${ESP_PORT} dir ${way} priority 10 action allow`;
      return [protect, ...(isTransport && isInUdp ? [udp] : [])].map(
        (policy) => `xfrm policy add ${selector} ${policy}`,
      );
    }),
  );
  await guest.ip([state("in"), state("out"), ...policies]);

  return {
    get traffic() {
      return plane.traffic(inboundSpi)!;
    },
    guestStates: () => guest.run("ip -s xfrm state"),
    wearOut: async (roundTrip) => {
      const at = slotAddress(memory, outboundSpi);
      for (const sequence of [HALF_WAY, NEAR_THE_END]) {
        new DataView(memory.buffer).setBigUint64(at + SA_SEQUENCE_OFFSET, BigInt(sequence), true);
        await guest.ip([
          `xfrm state delete ${ends.out} proto esp spi ${spis.out}`,
          state("out", `replay-oseq ${sequence}`),
        ]);
        if (sequence === HALF_WAY) await roundTrip();
      }
    },
    remove: async () => {
      if (isTransport) ip(`route del ${outside.guest} dev tun0`);
      plane.setPolicies([]);
      await plane.removeChildSa(inboundSpi);
      await guest.ip(["xfrm policy flush", "xfrm state flush"]);
    },
  };
}

/** Who speaks to whom under protection: in tunnel mode IPv4 and IPv6, the family of the outside first; in transport mode the hosts. */
export function pairsOf({
  mode,
  family,
}: Keying): readonly { readonly us: string; readonly guest: string }[] {
  return mode === "transport" ? [OUTSIDE[family]] : [INSIDE[family], INSIDE[family === 4 ? 6 : 4]];
}

function hostPrefix(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

/** Where the SA that sends under a peer's SPI stands in the memory. */
function slotAddress(memory: WebAssembly.Memory, spi: number): number {
  const view = new DataView(memory.buffer);
  for (let slot = 0; slot < SA_SLOT_COUNT; slot++) {
    const at = SA_BASE + slot * SA_SLOT_SIZE;
    if (view.getUint32(at + SA_STATE_OFFSET, true) !== SA_ACTIVE) continue;
    if (view.getUint32(at + SA_SPI_OFFSET, true) === spi) return at;
  }
  throw new Error(`no SA sends under SPI ${spi}`);
}

/** `ip` with its words, in the network namespace of this thread. */
function ip(words: string): void {
  const [program, ...args] = `ip ${words}`.trim().split(/\s+/);
  const { status, stderr } = spawnSync(program!, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${words}: ${stderr}`);
}
