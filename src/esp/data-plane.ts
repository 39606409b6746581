import {
  SA_SLOT_COUNT,
  TABLE_OWNER_SIZE,
  TABLES_COUNT,
  TABLES_SIZE,
  WORKER_AES_LENT_OFFSET,
  WORKER_BASE,
  WORKER_CHACHA_LENT_OFFSET,
  WORKER_COUNTERS_OFFSET,
  WORKER_GCM_JOBS_OFFSET,
  WORKER_SCRATCH_OFFSET,
  WORKER_SCRATCH_SIZE,
  WORKER_SIZE,
  WORKER_TABLE_OWNERS_OFFSET,
  WORKER_TABLE_WORDS_OFFSET,
  WORKER_TABLES_OFFSET,
} from "../../assembly/layout.ts";
import { wipe } from "../bytes/wipe.ts";
import { PolicyError } from "../errors/index.ts";
import type { Path } from "../platform/address.ts";
import { type Clock, createMonotonicClock } from "../platform/clock.ts";
import { openNativeCiphers } from "../platform/native-ciphers/native-ciphers.ts";
import { MemoryPoller } from "../platform/poller/memory-poller.ts";
import type { Random } from "../platform/random.ts";
import { RAW_ESP_PORT } from "../platform/raw-esp/open-raw-esp-socket.ts";
import {
  encodePacketInfo,
  encodeSocketAddress,
  familyOf,
  socketAddressNumber,
} from "../platform/socket-address.ts";
import type { SystemCalls } from "../platform/system-calls/system-calls.ts";
import type { OpenTun } from "../platform/tun/linux-tun.ts";
import type { MemoryTun } from "../platform/tun/memory-tun.ts";
import type { OpenUdpSocket } from "../platform/udp/linux-udp-socket.ts";
import type { MemoryUdpSocket } from "../platform/udp/memory-udp.ts";
import { PathMtuReader } from "../platform/udp/path-mtu-reader.ts";
import type { CopyDscp, DontFragment } from "../policy/connection.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import type { Transform } from "../wire/payloads/transform.ts";
import { GatheredCall } from "./gathered-call.ts";
import { IkeSpiFilter } from "./ike-spi-filter.ts";
import type { SeenElsewhere, StrayEsp } from "./inbound.ts";
import { loadKernel } from "./kernel.ts";
import { lanesOf, rolesOf } from "./lanes.ts";
import { MailDrain } from "./mail-drain.ts";
import { type IkeDatagram, MailboxReader } from "./mailbox.ts";
import { type Occupancy, occupancyOf } from "./occupancy.ts";
import { PathMtus } from "./path-mtus.ts";
import { WorkerPulse } from "./pulse.ts";
import { DataPump } from "./pump.ts";
import type { PumpSocket } from "./pump-socket.ts";
import { immediateQuiescence, type Quiescence, WorkerQuiescence } from "./quiescence.ts";
import type { PathRecord, TrafficCover } from "./sa-slot.ts";
import { type ChildSaTraffic, type ChildSaVolume, Sad } from "./sad.ts";
import { SelectorTable } from "./selector-table.ts";
import { type DataPolicy, Spd } from "./spd.ts";
import { type Drops, dropsAt, sumOfDrops } from "./status.ts";
import { type PacketTimes, readTimes } from "./stopwatch.ts";
import { readTallies, type TrafficTallies } from "./tally.ts";
import type { TrapCall } from "./trapped-packets.ts";
import { type LaneDevices, WorkerTeam } from "./worker-team.ts";

export type { SeenElsewhere, StrayEsp } from "./inbound.ts";
export type { IkeDatagram } from "./mailbox.ts";
export type { Occupancy, Share } from "./occupancy.ts";
export type { PumpSocket } from "./pump-socket.ts";
export type { SaTraffic, TrafficCover } from "./sa-slot.ts";
export type { ChildSaTraffic, ChildSaVolume } from "./sad.ts";
export type { DataPolicy } from "./spd.ts";
export type { TallyView, TrafficTallies } from "./tally.ts";
export type { TrapCall } from "./trapped-packets.ts";
export type { LaneDevices } from "./worker-team.ts";

/** A child SA as the engine installs it. What the IKE machine negotiated fits as it is; the settings beside it are optional. */
export interface ChildSaInstallation {
  /** From `allocateSpi`. */
  readonly inboundSpi: number;
  readonly outboundSpi: number;
  /** AES-GCM-16 or ChaCha20-Poly1305, with or without implicit IV, or AES-GMAC, alone; AES-CBC, AES-CTR or NULL with an integrity transform. */
  readonly encryption: Transform;
  /** HMAC-SHA1-96, HMAC-SHA2-256-128, -384-192 or -512-256. */
  readonly integrity?: Transform | undefined;
  readonly esn: boolean;
  /**
   * As KEYMAT gives them: key, salt of 4 octets where the cipher has one, integrity key where there is one. Overwritten by the
   * installation, whether it succeeds or not.
   */
  readonly inboundKey: Uint8Array;
  readonly outboundKey: Uint8Array;
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
  /** `local.port` is the port of a UDP socket that carries ESP; any other port means ESP straight on IP; with `stream` it goes through TCP. */
  readonly path: Path;
  /** The largest packet that the path was found to carry, IP header included, where that is less than the kernel knows of. */
  readonly pathMtu?: number | undefined;
  /** 64 to 8192, or 0 for no check. Default 1024. */
  readonly replayWindowPackets?: number | undefined;
  /** Default "out". */
  readonly copyDscp?: CopyDscp | undefined;
  /** Default true. */
  readonly clampsMss?: boolean | undefined;
  /** Default "set". */
  readonly df?: DontFragment | undefined;
  /** Hard limits of each direction. Default none but the sequence number. */
  readonly packetLimit?: number;
  readonly octetLimit?: number;
  /** Padding and dummy packets of what we send. Default none. */
  readonly cover?: TrafficCover | undefined;
  /** Transport mode, between one address and another. Default tunnel mode. */
  readonly isTransport?: boolean | undefined;
}

/** "processor": its AES instructions or widest vectors, by way of the runtime's OpenSSL. "webassembly": the kernel's own, as for all else. */
export type CipherSource = "processor" | "webassembly";

/** The engine's view of the data plane: SAs and policies in, counters and IKE datagrams out. */
export interface DataPlane {
  /** Reserves room for a child SA: its inbound SPI, or undefined when all are in use. For `IkeEndpoint`. */
  allocateSpi(): number | undefined;
  /** Gives back an SPI that will not be installed. */
  releaseSpi(inboundSpi: number): void;
  /**
   * Starts both directions. The SA opens what arrives at once; it carries nothing out before `setPolicies` names it. Throws
   * PolicyError when there is no room for the selectors, no such cipher or no socket for the path, RangeError for what no
   * negotiation should yield. The SPI then stays reserved: `releaseSpi`.
   */
  installChildSa(childSa: ChildSaInstallation): void;
  /** Sends ESP of the child SA along another path from now on. Throws PolicyError when no socket serves the path. */
  moveChildSa(move: { readonly inboundSpi: number; readonly path: Path }): void;
  /** The path of a child SA was found to carry so much, as in its installation. Holds until it moves. */
  fitChildSa(fit: { readonly inboundSpi: number; readonly pathMtu: number | undefined }): void;
  /** The largest packet of use on a path, IP header included, as far as the kernel knows; undefined when there is no route. */
  pathMtu(path: Path): number | undefined;
  /** Stops both directions at once; settles when the keys are zeroed, with all that was carried. Until the policies change, what they sent is dropped as `noSa`. */
  removeChildSa(inboundSpi: number): Promise<ChildSaVolume | undefined>;
  /** Replaces the outbound policies, in order: the first that matches a packet decides; what matches none is dropped as `noPolicy`. */
  setPolicies(policies: readonly DataPolicy[]): void;
  /** The same with precedences, each a whole number of its own: of the policies that match a packet, the lowest decides. */
  setPoliciesByPrecedence(policies: Iterable<readonly [precedence: number, policy: DataPolicy]>): void;
  /**
   * Adds one outbound policy, or puts it in the place of the one with this precedence; takes as long among many as among few. Throws
   * PolicyError when there is no room, and changes nothing.
   */
  setPolicy(precedence: number, policy: DataPolicy): void;
  /** Takes one outbound policy out. Nothing happens for a precedence that none has. */
  removePolicy(precedence: number): void;
  /** An IKE SPI of ours begins or ends: datagrams for it go before those of strangers. */
  noteIkeSpi(spi: bigint, isInUse: boolean): void;
  /** Counters of an installed child SA. */
  traffic(inboundSpi: number): ChildSaTraffic | undefined;
  /** What an installed child SA has carried, without its drops: cheap enough to ask for thousands of SAs. */
  carried(inboundSpi: number): ChildSaVolume | undefined;
  /** How many data workers there are. */
  readonly workers: number;
  /** Whose AES the workers use for keys that carry much. */
  readonly aes: CipherSource;
  /** Whose ChaCha20 they use for packets that are not small. */
  readonly chaCha20: CipherSource;
  /** Drops of packets that belong to no SA, by cause. */
  readonly drops: Drops;
  /** What the workers' system calls moved, IKE included. */
  readonly tallies: TrafficTallies;
  /** Where the workers' time goes. Devices in memory are not timed. */
  readonly times: PacketTimes;
  /** What SAs and policies take of the shared memory. */
  readonly occupancy: Occupancy;
  /** Makes the workers look around now. */
  wake(): void;
  /** Whether every worker has gone round since the last call, which woke them. To be asked now and then: a round may take milliseconds. */
  isMoving(): boolean;
  /** Stops the pumps, then zeroes every key. Devices and sockets stay open: they are the caller's. Settles within three seconds. */
  stop(): Promise<void>;
}

interface CommonFacts {
  /** From `createSharedMemory`, and not used by another data plane before. */
  readonly memory: WebAssembly.Memory;
  /** Data workers, 1 to WORKER_LIMIT. Default 1. */
  readonly workers?: number;
  readonly random: Random;
  /**
   * Called with each IKE datagram, marker stripped, those of a socket in order; never from within another call into the data plane. The octets are
   * good during the call.
   */
  readonly onIkeDatagram: (datagram: IkeDatagram) => void;
  /** Told, in a sentence, when something that makes packets fast does not work after all; they go the plain way from then on. */
  readonly onRefusal?: (what: string) => void;
  /**
   * Called when a packet meets a policy that traps, at most once a second for each (and each worker that seals) and never from within another call into the
   * data plane. A few packets wait for the SA, up to three seconds.
   */
  readonly onTrap?: (call: TrapCall) => void;
  /** Told of authentic ESP, newer than all before it, that comes from elsewhere than where its SA sends to; in the same way, and not for each. */
  readonly onElsewhere?: (seen: SeenElsewhere) => void;
  /** Told of ESP for an SPI that is not ours, at most once a second by each worker that opens, in the same way. */
  readonly onStray?: (stray: StrayEsp) => void;
}

/** What runs the pumps. */
interface Driver {
  isMoving(): boolean;
  /** Told the slot of an SA that sent something longer than its path takes. */
  onTooLong?: (slot: number) => void;
  wake(): void;
  stop(): Promise<void>;
}

/** The region of the host's own instance: for keys on their way into slots. */
const HOST = 0;

/**
 * Starts the data plane on the kernel's devices, in threads of its own. `systemCalls` are those of the calling thread, over
 * the same memory. Rejects with a PlatformError when one does not come up; `onFailure` is called once if one ends later, when the others have
 * ended with it: no packet moves from then on, and nothing leaves in clear.
 */
export async function startDataPlane(
  facts: CommonFacts & {
    readonly systemCalls: SystemCalls;
    readonly tun: OpenTun;
    /** Firewall mark of the sockets. */
    readonly mark?: number;
    /** "auto" (the default): the processor's, where it can be had. */
    readonly nativeCiphers?: "auto" | "off";
    /** How long a worker goes on looking for more before it sleeps, where the machine has a core to spare. Default 0. */
    readonly spinMicroseconds?: number;
    readonly sockets: readonly PumpSocket<OpenUdpSocket>[];
    /** What lanes behind the first use (`lanesOf`): queues of the same TUN device, sockets alike and in the same order. */
    readonly furtherLanes?: readonly LaneDevices[];
    readonly onFailure: (error: Error) => void;
  },
): Promise<DataPlane> {
  const {
    memory,
    workers = 1,
    tun,
    sockets,
    furtherLanes = [],
    nativeCiphers = "auto",
    spinMicroseconds = 0,
    onFailure,
  } = facts;
  const roles = rolesOf(workers);
  const mail = roles.map(
    ({ worker }) => new MailDrain(new MailboxReader(memory, worker), facts.onIkeDatagram),
  );
  const team: WorkerTeam = await WorkerTeam.start({
    memory,
    systemCalls: facts.systemCalls,
    roles,
    nativeCiphers,
    spinMicroseconds,
    devices: [{ tun, sockets }, ...furtherLanes],
    onMail: (worker) => mail[worker - 1]?.ring(),
    onRefusal: facts.onRefusal ?? (() => {}),
    onTrap: facts.onTrap ?? (() => {}),
    onStray: facts.onStray ?? (() => {}),
    onElsewhere: facts.onElsewhere ?? (() => {}),
    onTooLong: (slot) => driver.onTooLong?.(slot),
    onFailure: (error) => {
      quiescence.stop();
      onFailure(error);
    },
  });
  // One wake-up is enough for all that one turn of the event loop has for the workers.
  const wakeUp = new GatheredCall(() => team.wake());
  const wake = (): void => wakeUp.ask();
  const numbers = roles.map(({ worker }) => worker);
  const quiescence = new WorkerQuiescence({ memory, workers: numbers, wake });
  const pulse = new WorkerPulse({ memory, workers: numbers, wake });
  const pathMtus = new PathMtuReader(facts.systemCalls, facts.mark);
  const driver: Driver = {
    isMoving: () => pulse.take(),
    wake,
    stop: async () => {
      await team.stop();
      quiescence.stop();
      pathMtus.close();
    },
  };
  const pathMtu = (path: Path): number | undefined => pathMtus.read(path);
  try {
    return createDataPlane({ ...facts, workers, quiescence, driver, pathMtu });
  } catch (error) {
    await driver.stop();
    throw error;
  }
}

/**
 * Starts the data plane on devices in memory, in the calling thread. Rounds of all workers in turn run when something is readable, each
 * time through `schedule` (setImmediate by default), so that a test can decide when. Sockets receive into the region of the worker that
 * `lanesOf` says.
 */
export function startMemoryDataPlane(
  facts: CommonFacts & {
    readonly tun: MemoryTun;
    readonly sockets: readonly PumpSocket<MemoryUdpSocket>[];
    /** As `startDataPlane` has it, but "off" by default. */
    readonly nativeCiphers?: "auto" | "off";
    readonly schedule?: (run: () => void) => void;
    /** The system's monotonic clock by default. */
    readonly clock?: Clock;
  },
): DataPlane {
  const {
    memory,
    workers = 1,
    tun,
    sockets,
    nativeCiphers = "off",
    schedule = setImmediate,
    clock = createMonotonicClock(),
  } = facts;
  const parts = rolesOf(workers).map((role) => {
    // Nothing is steered in memory: packets and datagrams come to the first lane, which hands over those of others.
    const isForSendingOnly = role.lane > 0;
    const lent = nativeCiphers === "auto" ? openNativeCiphers(memory, facts.onRefusal) : {};
    const kernel = loadKernel(memory, role.worker, lent);
    const pump = new DataPump({
      memory,
      kernel,
      role,
      tun: role.lane === 0 ? tun : tun.queue(),
      sockets: sockets.map((socket) => ({ ...socket, isForSendingOnly })),
      clock,
      random: facts.random,
      onRefusal: facts.onRefusal ?? (() => {}),
      onTrap: (call) => queueMicrotask(() => facts.onTrap?.(call)),
      onStray: (stray) => queueMicrotask(() => facts.onStray?.(stray)),
      onElsewhere: (seen) => queueMicrotask(() => facts.onElsewhere?.(seen)),
      onTooLong: (slot) => driver.onTooLong?.(slot),
      ring: () => {}, // the rounds are followed by a look into the mailboxes anyway
      callCompanion: () => {}, // and by others, as long as there is something to do
    });
    return {
      kernel,
      lent,
      pump,
      mail: new MailDrain(new MailboxReader(memory, role.worker), facts.onIkeDatagram),
    };
  });
  const poller = new MemoryPoller([tun, ...sockets.map(({ socket }) => socket)]);
  let isScheduled = false;
  let rest: NodeJS.Timeout | undefined;
  let hasStopped = false;
  const run = (): void => {
    isScheduled = false;
    if (hasStopped) return;
    const handled = parts.reduce((count, { pump }) => count + pump.round(), 0);
    for (const { mail } of parts) mail.ring();
    if (hasStopped) return;
    const restMs = Math.min(...parts.map(({ pump }) => pump.restMs));
    if (poller.wait(0) || handled > 0) scheduleRound();
    else if (Number.isFinite(restMs)) {
      clearTimeout(rest);
      rest = setTimeout(scheduleRound, Math.ceil(restMs));
    }
  };
  const scheduleRound = (): void => {
    if (isScheduled || hasStopped) return;
    isScheduled = true;
    schedule(run);
  };
  poller.onReady = scheduleRound;
  if (poller.wait(0)) scheduleRound();
  const driver: Driver = {
    // Whoever asks does so in the thread that moves the packets.
    isMoving: () => true,
    wake: () => poller.wake(),
    stop: () => {
      hasStopped = true;
      clearTimeout(rest);
      poller.close();
      for (const { lent } of parts) lent.aes?.close();
      return Promise.resolve();
    },
  };
  const quiescence = immediateQuiescence(() => {
    for (const { kernel } of parts) kernel.wipeTraces();
  });
  const pathMtu = ({ remote }: Path): number | undefined => sockets[0]?.socket.pathMtu(remote.address);
  return createDataPlane({ ...facts, workers, quiescence, driver, pathMtu });
}

function createDataPlane({
  memory,
  workers,
  tun,
  pathMtu,
  random,
  sockets,
  quiescence,
  driver,
}: {
  readonly memory: WebAssembly.Memory;
  readonly workers: number;
  readonly tun: { readonly mtu: number };
  readonly pathMtu: (path: Path) => number | undefined;
  readonly random: Random;
  readonly sockets: readonly PumpSocket<{ readonly family: 4 | 6; readonly port: number }>[];
  readonly quiescence: Quiescence;
  readonly driver: Driver;
}): DataPlane {
  const selectors = new SelectorTable(memory);
  const kernel = loadKernel(memory, HOST);
  const numbers = rolesOf(workers).map(({ worker }) => worker);
  const sourceAt = (offset: number): CipherSource => {
    const isLent = (worker: number): boolean =>
      words[(WORKER_BASE + worker * WORKER_SIZE + offset) >>> 2] === 1;
    return numbers.every(isLent) ? "processor" : "webassembly";
  };
  const sad = new Sad({ memory, kernel, lanes: lanesOf(workers), random, selectors, quiescence });
  const spd = new Spd({ memory, sad, selectors, quiescence });
  const paths = new PathMtus({ sad, tunMtu: tun.mtu, read: pathMtu });
  driver.onTooLong = (slot) => paths.lookFor(slot);
  const words = new Uint32Array(memory.buffer);
  const ikeSpis = new IkeSpiFilter(memory);

  const recordOf = (path: Path): PathRecord => {
    if (path.stream !== undefined) return recordOfStream(sockets, path.stream);
    const family = familyOf(path.remote.address);
    const control = encodePacketInfo(path.local.address);
    const ofFamily = (isFit: (each: (typeof sockets)[number]) => boolean): number =>
      sockets.findIndex((each) => each.socket.family === family && isFit(each));
    const socket = ofFamily(({ carriesEsp, socket: { port } }) => carriesEsp && port === path.local.port);
    if (socket >= 0) {
      const peer = encodeSocketAddress(path.remote);
      return { socket, peer, control, number: socketAddressNumber(peer, 0) };
    }
    // Without NAT traversal IKE stays where it began, and ESP has no ports.
    const raw = ofFamily(({ isRaw = false }) => isRaw);
    if (raw >= 0) {
      const peer = encodeSocketAddress({ address: path.remote.address, port: RAW_ESP_PORT });
      return { socket: raw, peer, control };
    }
    throw new PolicyError(
      `no IPv${family} socket for ESP is open on UDP port ${path.local.port}, and none for raw ESP`,
      { code: "NO_SOCKET" },
    );
  };

  const isRaw = ({ socket }: PathRecord): boolean => sockets[socket]?.isRaw ?? false;

  return {
    allocateSpi: () => sad.allocateSpi(),
    releaseSpi: (inboundSpi) => sad.releaseSpi(inboundSpi),
    installChildSa: (childSa) => {
      try {
        const record = recordOf(childSa.path);
        // Written out: to copy an object of so many fields takes longer than to expand the keys.
        sad.install({
          inboundSpi: childSa.inboundSpi,
          outboundSpi: childSa.outboundSpi,
          encryption: childSa.encryption,
          integrity: childSa.integrity,
          esn: childSa.esn,
          inboundKey: childSa.inboundKey,
          outboundKey: childSa.outboundKey,
          selectors: { local: childSa.local, remote: childSa.remote },
          path: record,
          replayWindowPackets: childSa.replayWindowPackets ?? DEFAULT_REPLAY_WINDOW,
          copyDscp: childSa.copyDscp ?? "out",
          clampsMss: childSa.clampsMss ?? true,
          df: childSa.df ?? "set",
          packetLimit: childSa.packetLimit ?? Number.POSITIVE_INFINITY,
          octetLimit: childSa.octetLimit ?? Number.POSITIVE_INFINITY,
          cover: childSa.cover,
          isTransport: childSa.isTransport,
        });
        paths.set(childSa.inboundSpi, childSa.path, { isRaw: isRaw(record), limit: childSa.pathMtu });
        // Something may have come for it already.
        driver.wake();
      } finally {
        wipe(childSa.inboundKey, childSa.outboundKey);
      }
    },
    moveChildSa: ({ inboundSpi, path }) => {
      const record = recordOf(path);
      sad.move(inboundSpi, record);
      paths.set(inboundSpi, path, { isRaw: isRaw(record) });
    },
    fitChildSa: (fit) => paths.limit(fit.inboundSpi, fit.pathMtu),
    pathMtu: (path) => paths.mostOn(path),
    removeChildSa: (inboundSpi) => {
      paths.forget(inboundSpi);
      return sad.remove(inboundSpi);
    },
    // A packet may wait for just these, and the worker learns how long it may sleep.
    setPolicies: (policies) => {
      spd.replace(policies);
      driver.wake();
    },
    setPoliciesByPrecedence: (policies) => {
      spd.replaceAll(policies);
      driver.wake();
    },
    setPolicy: (precedence, policy) => {
      spd.set(precedence, policy);
      driver.wake();
    },
    removePolicy: (precedence) => spd.remove(precedence),
    noteIkeSpi: (spi, isInUse) => ikeSpis.note(spi, isInUse),
    traffic: (inboundSpi) => sad.traffic(inboundSpi),
    carried: (inboundSpi) => sad.carried(inboundSpi),
    workers,
    get aes() {
      return sourceAt(WORKER_AES_LENT_OFFSET);
    },
    get chaCha20() {
      return sourceAt(WORKER_CHACHA_LENT_OFFSET);
    },
    get drops() {
      return sumOfDrops(
        numbers.map((worker) => dropsAt(words, WORKER_BASE + worker * WORKER_SIZE + WORKER_COUNTERS_OFFSET)),
      );
    },
    get tallies() {
      return readTallies(memory, numbers);
    },
    get times() {
      return readTimes(memory, numbers);
    },
    get occupancy() {
      return occupancyOf({
        words,
        workers: numbers,
        sas: sad.inUse,
        selectors: selectors.inUse,
        ...spd.inUse,
      });
    },
    wake: () => driver.wake(),
    isMoving: () => driver.isMoving(),
    stop: async () => {
      paths.close();
      await driver.stop();
      await sad.removeAll();
      for (const worker of numbers) wipeTraces(memory, worker);
    },
  };
}

/** Which TCP connection it is the other end of the local stream knows. */
function recordOfStream(sockets: readonly PumpSocket<unknown>[], stream: number): PathRecord {
  const socket = sockets.findIndex(({ isStream = false }) => isStream);
  if (socket < 0) throw new PolicyError("no ESP in TCP here", { code: "NO_SOCKET" });
  const peer = new Uint8Array(4);
  new DataView(peer.buffer).setUint32(0, stream, true);
  return { socket, peer, control: new Uint8Array(0) };
}

const DEFAULT_REPLAY_WINDOW = 1024;
const OWNER_WORDS = TABLE_OWNER_SIZE / 4;

/** What a worker that ended could not do itself: its jobs and its scratch lie side by side, and its keys may have tables. */
function wipeTraces(memory: WebAssembly.Memory, worker: number): void {
  const region = WORKER_BASE + worker * WORKER_SIZE;
  const octets = new Uint8Array(memory.buffer);
  const end = region + WORKER_SCRATCH_OFFSET + WORKER_SCRATCH_SIZE;
  octets.fill(0, region + WORKER_GCM_JOBS_OFFSET, end);
  const owners = new Uint32Array(
    memory.buffer,
    region + WORKER_TABLE_OWNERS_OFFSET,
    OWNER_WORDS * TABLES_COUNT,
  );
  for (let place = 0; place < TABLES_COUNT; place++) {
    if (owners[OWNER_WORDS * place] === 0) continue;
    const tables = region + WORKER_TABLES_OFFSET + place * TABLES_SIZE;
    octets.fill(0, tables, tables + TABLES_SIZE);
    owners[OWNER_WORDS * place] = 0;
  }
  const words = region + WORKER_TABLE_WORDS_OFFSET;
  octets.fill(0, words, words + 4 * SA_SLOT_COUNT);
}
