import { createCipheriv } from "node:crypto";
import {
  AEAD_CONTEXT_SIZE,
  JOB_AAD_LENGTH_OFFSET,
  JOB_AAD_OFFSET,
  JOB_AUTHENTIC,
  JOB_CONTEXT_OFFSET,
  JOB_DESTINATION_OFFSET,
  JOB_FORGED,
  JOB_HIGH_HALF_LENGTH_OFFSET,
  JOB_HIGH_HALF_OFFSET,
  JOB_LENGTH_OFFSET,
  JOB_NONCE_OFFSET,
  JOB_SIZE,
  JOB_SOURCE_OFFSET,
  JOB_TAG_OFFSET,
  JOB_VERDICT_OFFSET,
  SA_AEAD_OFFSET,
  SA_BASE,
  SA_SLOT_COUNT,
  SA_SLOT_SIZE,
  TAG_LENGTH,
  WORKER_BASE,
  WORKER_CHACHA_JOBS_OFFSET,
  WORKER_GCM_JOBS_OFFSET,
  WORKER_SIZE,
  WORKER_TUN_SLAB_OFFSET,
} from "../../assembly/layout.ts";
import { createSharedMemory, type Kernel, loadKernel } from "../../src/esp/kernel.ts";
import type { LentAes, LentChaCha20 } from "../../src/platform/native-ciphers/lent-ciphers.ts";

interface KeyPlaces {
  readonly context: number;
  readonly slot: number;
  readonly key: number;
  readonly keyLength: number;
  readonly keyOctets: Uint8Array;
}

/** One AEAD of the kernel, or a cipher and HMAC together, beside what node:crypto has to agree with. */
export interface AeadUnderTest {
  /** Octets of all keys together. */
  readonly keyLengths: readonly number[];
  tagLength(key: Uint8Array): number;
  /** Texts are a multiple of so many octets. */
  readonly textUnit: number;
  /** Fewest octets of AAD. */
  readonly leastAad: number;
  /** How many octets of the AAD lie wherever the job says; the rest stands right before the text. */
  readonly aadApart: number;
  /** Whether the tag covers the nonce. */
  readonly hasAuthenticNonce: boolean;
  reference(packet: Packet): { readonly ciphertext: Uint8Array; readonly tag: Uint8Array };
  /** Expands the key, whose octets are at `key` in memory too. */
  expandKey(kernel: Kernel, places: KeyPlaces): void;
  sealBatch(kernel: Kernel, jobs: number, count: number): void;
  openBatch(kernel: Kernel, jobs: number, count: number): void;
  readonly jobsOffset: number;
  /** Each key has carried so much that it has tables (assembly/key-tables.ts). */
  readonly isBusy?: boolean;
  /** Lends AES to busy keys. */
  readonly lendAes?: (memory: WebAssembly.Memory) => LentAes;
  /** Lends ChaCha20 for packets that are not small. */
  readonly lendChaCha20?: (memory: WebAssembly.Memory) => LentChaCha20;
}

const PLAIN_AEAD = {
  tagLength: () => TAG_LENGTH,
  textUnit: 1,
  leastAad: 0,
  aadApart: Number.POSITIVE_INFINITY,
  hasAuthenticNonce: true,
};

export const AES_GCM: AeadUnderTest = {
  ...PLAIN_AEAD,
  keyLengths: [16, 24, 32],
  reference: (packet) => sealWith(`aes-${packet.key.length * 8}-gcm`, packet),
  expandKey: (kernel, { context, slot, key, keyLength }) =>
    kernel.gcmExpandKey(context, slot, key, keyLength),
  sealBatch: (kernel, jobs, count) => kernel.gcmSealBatch(jobs, count),
  openBatch: (kernel, jobs, count) => kernel.gcmOpenBatch(jobs, count),
  jobsOffset: WORKER_GCM_JOBS_OFFSET,
};

export const CHACHA20_POLY1305: AeadUnderTest = {
  ...PLAIN_AEAD,
  keyLengths: [32],
  reference: (packet) => sealWith("chacha20-poly1305", packet),
  expandKey: (kernel, { context, key }) => kernel.chachaExpandKey(context, key),
  sealBatch: (kernel, jobs, count) => kernel.chachaSealBatch(jobs, count),
  openBatch: (kernel, jobs, count) => kernel.chachaOpenBatch(jobs, count),
  jobsOffset: WORKER_CHACHA_JOBS_OFFSET,
};

/** A packet to seal; what a test knows about it. */
export interface Packet {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  readonly aad: Uint8Array;
  readonly plaintext: Uint8Array;
  /** Encrypt-then-MAC: what is authenticated behind the ciphertext, 0 or 4 octets. */
  readonly highHalf?: Uint8Array;
}

export interface SealedPacket extends Packet {
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
}

/** How a packet lies in memory. */
export interface Placement {
  /** Source and destination are the same octets; otherwise they are apart. */
  readonly inPlace?: boolean;
  /** Octets (0..15) by which source, destination, AAD and tag miss an address that is a multiple of 16. */
  readonly misalignment?: number;
}

/** What a kernel left behind for one job. */
export interface JobResult {
  /** `length` octets at the destination. */
  readonly output: Uint8Array;
  readonly tag: Uint8Array;
  /** Open only. */
  readonly isAuthentic: boolean;
}

/**
 * The real kernel over a memory of its own. Everything it puts into memory stands between canaries: `seal` and `open`
 * throw when an octet outside destination, tag and verdict has changed.
 */
export class KernelBed {
  readonly kernel: Kernel;
  readonly octets: Uint8Array;
  readonly view: DataView;
  readonly #aead: AeadUnderTest;
  readonly #contexts = new Map<string, number>();
  readonly #jobs: number;
  readonly #arena: number;
  readonly #arenaEnd: number;

  /** `worker` is the region that the instance works in. */
  constructor(aead: AeadUnderTest, worker = 0) {
    const memory = createSharedMemory();
    this.kernel = loadKernel(memory, worker, {
      aes: aead.lendAes?.(memory),
      chaCha20: aead.lendChaCha20?.(memory),
    });
    this.octets = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.#aead = aead;
    const region = WORKER_BASE + worker * WORKER_SIZE;
    this.#jobs = region + aead.jobsOffset;
    this.#arena = region + WORKER_TUN_SLAB_OFFSET;
    this.#arenaEnd = region + WORKER_SIZE;
  }

  /** Address of the expanded key; each key is expanded once, into the next SA slot. */
  contextOf(key: Uint8Array): number {
    const name = Buffer.from(key).toString("hex");
    const known = this.#contexts.get(name);
    if (known !== undefined) return known;
    if (this.#contexts.size === SA_SLOT_COUNT)
      throw new RangeError("the test uses more keys than there are SA slots");
    const slot = this.#contexts.size;
    const context = SA_BASE + slot * SA_SLOT_SIZE + SA_AEAD_OFFSET;
    const contextEnd = this.octets.slice(context + AEAD_CONTEXT_SIZE, context + AEAD_CONTEXT_SIZE + 64);
    this.octets.set(key, this.#arena);
    const places = { context, slot, key: this.#arena, keyLength: key.length, keyOctets: key };
    this.#aead.expandKey(this.kernel, places);
    expectSame(contextEnd, this.octets.slice(context + AEAD_CONTEXT_SIZE, context + AEAD_CONTEXT_SIZE + 64));
    this.#contexts.set(name, context);
    return context;
  }

  /** In CBC, opening is another use of a key than sealing, and each has to be busy. */
  #keepAllBusy(packets: readonly Packet[], run: (jobs: number) => void): void {
    if (!this.#aead.isBusy) return;
    for (const context of new Set(packets.map(({ key }) => this.contextOf(key))))
      this.#keepBusy(context, run);
  }

  /** Lets the key carry what it takes to have tables, and leaves the arena empty. */
  #keepBusy(context: number, run: (jobs: number) => void): void {
    const text = this.#arena + 64;
    const set = (offset: number, value: number) => this.view.setUint32(this.#jobs + offset, value, true);
    this.octets.fill(0, this.#jobs, this.#jobs + JOB_SIZE);
    set(JOB_CONTEXT_OFFSET, context);
    set(JOB_AAD_OFFSET, this.#arena);
    set(JOB_AAD_LENGTH_OFFSET, 32);
    set(JOB_SOURCE_OFFSET, text);
    set(JOB_DESTINATION_OFFSET, text);
    set(JOB_LENGTH_OFFSET, BUSY_LENGTH);
    set(JOB_TAG_OFFSET, text + BUSY_LENGTH);
    run(this.#jobs);
    this.octets.fill(0, this.#arena, text + BUSY_LENGTH + 64);
  }

  /** Seals all packets in one batch. `placements[i]` says how packet i lies in memory; missing ones are a plain copy. */
  seal(packets: readonly Packet[], placements: readonly Placement[] = []): readonly JobResult[] {
    this.#keepAllBusy(packets, (jobs) => this.#aead.sealBatch(this.kernel, jobs, 1));
    return this.#run(
      packets.map((packet, i) => ({ ...packet, input: packet.plaintext, placement: placements[i] ?? {} })),
      (jobs, count) => this.#aead.sealBatch(this.kernel, jobs, count),
      { writesTag: true },
    );
  }

  /** Opens all packets in one batch. */
  open(packets: readonly SealedPacket[], placements: readonly Placement[] = []): readonly JobResult[] {
    // A forgery is as much to carry as anything.
    this.#keepAllBusy(packets, (jobs) => this.#aead.openBatch(this.kernel, jobs, 1));
    return this.#run(
      packets.map((packet, i) => ({ ...packet, input: packet.ciphertext, placement: placements[i] ?? {} })),
      (jobs, count) => this.#aead.openBatch(this.kernel, jobs, count),
      { writesTag: false },
    );
  }

  #run(
    packets: readonly (Packet & { input: Uint8Array; tag?: Uint8Array; placement: Placement })[],
    runBatch: (jobs: number, count: number) => void,
    { writesTag }: { writesTag: boolean },
  ): readonly JobResult[] {
    let next = this.#arena + 64;
    /** Pieces lie as densely as their alignment allows, so that a stray octet hits a neighbour. */
    const place = (length: number, misalignment: number): number => {
      const address = Math.ceil((next - misalignment) / 16) * 16 + misalignment;
      next = address + length;
      if (next + 64 > this.#arenaEnd) throw new RangeError("the batch does not fit the test's arena");
      return address;
    };
    const contexts = packets.map((packet) => this.contextOf(packet.key));
    const { aadApart } = this.#aead;
    const placed = packets.map((packet) => {
      const { inPlace = false, misalignment = 0 } = packet.placement;
      const apart = Math.min(packet.aad.length, aadApart);
      const before = packet.aad.length - apart;
      const aad = place(apart, (misalignment * 7) % 16);
      const source = place(before + packet.input.length, misalignment) + before;
      const destination = inPlace
        ? source
        : place(before + packet.input.length, (misalignment * 3) % 16) + before;
      const tagLength = this.#aead.tagLength(packet.key);
      const tag = place(tagLength, (destination + packet.input.length) % 16);
      return { aad, source, destination, tag, tagLength };
    });
    const end = next + 64;
    this.octets.fill(CANARY, this.#arena, end);
    for (const [i, packet] of packets.entries()) {
      const { aad, source, destination, tag } = placed[i]!;
      this.octets.set(packet.aad.subarray(0, aadApart), aad);
      const before = packet.aad.subarray(aadApart);
      this.octets.set(before, source - before.length);
      this.octets.set(before, destination - before.length);
      this.octets.set(packet.input, source);
      if (packet.tag !== undefined && !writesTag) this.octets.set(packet.tag, tag);
      const job = this.#jobs + i * JOB_SIZE;
      this.octets.fill(CANARY, job, job + JOB_SIZE);
      this.view.setUint32(job + JOB_CONTEXT_OFFSET, contexts[i]!, true);
      this.view.setUint32(job + JOB_AAD_OFFSET, aad, true);
      this.view.setUint32(job + JOB_AAD_LENGTH_OFFSET, packet.aad.length, true);
      this.view.setUint32(job + JOB_SOURCE_OFFSET, source, true);
      this.view.setUint32(job + JOB_DESTINATION_OFFSET, destination, true);
      this.view.setUint32(job + JOB_LENGTH_OFFSET, packet.input.length, true);
      this.view.setUint32(job + JOB_TAG_OFFSET, tag, true);
      this.octets.set(packet.nonce, job + JOB_NONCE_OFFSET);
      const { highHalf = new Uint8Array(0) } = packet;
      this.view.setUint32(job + JOB_HIGH_HALF_LENGTH_OFFSET, highHalf.length, true);
      this.octets.set(highHalf, job + JOB_HIGH_HALF_OFFSET);
    }
    const jobsEnd = this.#jobs + packets.length * JOB_SIZE;
    const expectedJobs = this.octets.slice(this.#jobs, jobsEnd);
    const expected = this.octets.slice(this.#arena, end);

    runBatch(this.#jobs, packets.length);

    const results = placed.map(({ destination, tag, tagLength }, i) => {
      const length = packets[i]!.input.length;
      const verdict = this.view.getUint32(this.#jobs + i * JOB_SIZE + JOB_VERDICT_OFFSET, true);
      if (!writesTag && verdict !== JOB_AUTHENTIC && verdict !== JOB_FORGED)
        throw new Error(`job ${i} has the verdict ${verdict}`);
      return {
        output: this.octets.slice(destination, destination + length),
        tag: this.octets.slice(tag, tag + tagLength),
        isAuthentic: verdict === JOB_AUTHENTIC,
      };
    });
    for (const [i, { destination, tag }] of placed.entries()) {
      expected.set(results[i]!.output, destination - this.#arena);
      if (writesTag) expected.set(results[i]!.tag, tag - this.#arena);
      const verdict = i * JOB_SIZE + JOB_VERDICT_OFFSET;
      expectedJobs.set(this.octets.slice(this.#jobs + verdict, this.#jobs + verdict + 4), verdict);
    }
    expectSame(expected, this.octets.slice(this.#arena, end));
    expectSame(expectedJobs, this.octets.slice(this.#jobs, jobsEnd));
    return results;
  }

  /** What node:crypto makes of the packet. */
  reference(packet: Packet): SealedPacket {
    return { ...packet, ...this.#aead.reference(packet) };
  }
}

/** Seals with an AEAD of node:crypto. */
export function sealWith(name: string, packet: Packet): { ciphertext: Uint8Array; tag: Uint8Array } {
  const options = { authTagLength: TAG_LENGTH };
  const cipher = createCipheriv(name as "aes-128-gcm", packet.key, packet.nonce, options);
  cipher.setAAD(packet.aad, { plaintextLength: packet.plaintext.length });
  const ciphertext = Buffer.concat([cipher.update(packet.plaintext), cipher.final()]);
  return { ciphertext: new Uint8Array(ciphertext), tag: new Uint8Array(cipher.getAuthTag()) };
}

const CANARY = 0xc5;
const BUSY_LENGTH = 65536;

function expectSame(expected: Uint8Array, actual: Uint8Array): void {
  if (Buffer.compare(expected, actual) === 0) return;
  const at = expected.findIndex((octet, i) => octet !== actual[i]);
  throw new Error(`an octet outside the destination was written (${at} octets into the region)`);
}

/** Octets and numbers that are the same on each run. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in 0 .. bound - 1. */
  below(bound: number): number {
    return Math.floor((this.#next() / 2 ** 32) * bound);
  }

  octets(length: number): Uint8Array {
    const octets = new Uint8Array(length);
    for (let i = 0; i < length; i++) octets[i] = this.#next() >>> 24;
    return octets;
  }

  /** A Weyl sequence through a 32-bit mixing function (murmur3's finaliser). */
  #next(): number {
    this.#state = (this.#state + 0x9e37_79b9) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
    return (x ^ (x >>> 16)) >>> 0;
  }
}
