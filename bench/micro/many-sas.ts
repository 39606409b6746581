import { randomBytes } from "node:crypto";
import {
  DESCRIPTOR_LENGTH_OFFSET,
  DESCRIPTOR_RESULT_LENGTH_OFFSET,
  DESCRIPTOR_RESULT_OFFSET,
  DESCRIPTOR_SA_OFFSET,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SOURCE_OFFSET,
  DESCRIPTOR_STATUS_OFFSET,
  STATUS_OK,
  TRAILER_ROOM,
  WORKER_BASE,
  WORKER_DESCRIPTORS_OFFSET,
  WORKER_SIZE,
  WORKER_TUN_SLAB_OFFSET,
} from "../../assembly/layout.ts";
import { createSharedMemory, type Kernel, loadKernel } from "../../src/esp/kernel.ts";
import { immediateQuiescence } from "../../src/esp/quiescence.ts";
import { Sad } from "../../src/esp/sad.ts";
import { SelectorTable } from "../../src/esp/selector-table.ts";
import { Spd } from "../../src/esp/spd.ts";
import { EncryptionTransform, TrafficSelectorType, TransformType } from "../../src/iana/ikev2-parameters.ts";
import type { LentCiphers } from "../../src/platform/native-ciphers/lent-ciphers.ts";
import { openNativeCiphers } from "../../src/platform/native-ciphers/native-ciphers.ts";
import type { TrafficSelector } from "../../src/wire/payloads/traffic-selector.ts";
import { type Lender, lendersFor } from "./lending.ts";
import type { Subject } from "./subject.ts";

const MANY = 10_000;
/** Batches begin anew where the SAs do. */
const IN_TURN = [64, 256, 1_024, MANY];
const BATCH = 64;
const LENGTHS = [100, 1400];
const WORKER = 1;
const REGION = WORKER_BASE + WORKER * WORKER_SIZE;

const CIPHERS = [
  { name: "aes-256-gcm", id: EncryptionTransform.ENCR_AES_GCM_16, keyLength: 256 },
  { name: "chacha20-poly1305", id: EncryptionTransform.ENCR_CHACHA20_POLY1305 },
];

/**
 * What the number of SAs and policies costs a packet: from the inner packet to ESP and back. A subject's crowds are gone when the next one is
 * asked for.
 */
export function* manySasSubjects(lent: LentCiphers): Generator<Subject> {
  for (const cipher of CIPHERS) {
    for (const lender of lendersFor(cipher.name, lent)) yield* subjectsOf(cipher, lender);
  }
}

function* subjectsOf(
  { name, ...cipher }: (typeof CIPHERS)[number],
  { title, lends }: Lender,
): Generator<Subject> {
  const one = new SaCrowd(1, cipher, lends);
  const many = new SaCrowd(MANY, cipher, lends);
  try {
    for (const length of LENGTHS) {
      yield manySasSubject(`${name}, ${title}, ${length} octets`, length, [
        { name: "alone", crowd: one, spread: 1 },
        { name: `beside ${MANY.toLocaleString("en")} idle SAs`, crowd: many, spread: 1 },
        ...IN_TURN.map((spread) => ({
          name: `${spread.toLocaleString("en")} SAs in turn`,
          crowd: many,
          spread,
        })),
      ]);
    }
  } finally {
    one.close();
    many.close();
  }
}

function manySasSubject(
  name: string,
  length: number,
  cases: readonly { readonly name: string; readonly crowd: SaCrowd; readonly spread: number }[],
): Subject {
  const batches = cases.map((each) => ({ ...each, next: 0 }));
  return {
    group: "One busy SA among many, sealed and opened",
    name,
    operations: BATCH,
    octets: BATCH * length,
    contenders: batches.map((each) => ({
      name: each.name,
      run: () => {
        each.crowd.run(each.next, each.spread, length);
        each.next = (each.next + BATCH) % each.spread;
      },
    })),
    prove() {
      for (const { crowd, spread } of batches) {
        for (let first = 0; first < spread; first += BATCH) {
          crowd.run(first, spread, length);
          crowd.check(first, spread, length);
        }
      }
    },
  };
}

/** So many child SAs that talk to themselves, each with a remote address and a policy of its own. */
class SaCrowd {
  readonly #kernel: Kernel;
  readonly #octets: Uint8Array;
  readonly #words: Uint32Array;
  readonly #slots: number[] = [];
  readonly #lent: LentCiphers;

  constructor(count: number, cipher: { readonly id: number; readonly keyLength?: number }, lends: boolean) {
    const memory = createSharedMemory();
    this.#lent = lends ? openNativeCiphers(memory) : {};
    this.#kernel = loadKernel(memory, WORKER, this.#lent);
    this.#octets = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    const shared = {
      memory,
      selectors: new SelectorTable(memory),
      quiescence: immediateQuiescence(() => this.#kernel.wipeTraces()),
    };
    const random = { bytes: (length: number) => randomBytes(length) };
    const sad = new Sad({
      ...shared,
      kernel: loadKernel(memory, 0),
      lanes: [{ sender: WORKER, receiver: WORKER }],
      random,
    });
    const spd = new Spd({ ...shared, sad });
    for (let i = 0; i < count; i++) {
      const inboundSpi = sad.allocateSpi()!;
      const key = randomBytes(36);
      sad.install({
        inboundSpi,
        outboundSpi: inboundSpi,
        encryption: { type: TransformType.ENCR, ...cipher },
        esn: false,
        inboundKey: Buffer.from(key),
        outboundKey: Buffer.from(key),
        selectors: {
          local: [range(Uint8Array.of(0, 0, 0, 0), Uint8Array.of(255, 255, 255, 255))],
          remote: [range(addressOf(i))],
        },
        path: { socket: 0, peer: new Uint8Array(16), control: new Uint8Array(0) },
        replayWindowPackets: 0,
        packetLimit: Number.POSITIVE_INFINITY,
        octetLimit: Number.POSITIVE_INFINITY,
        copyDscp: "out",
        clampsMss: true,
        df: "set",
      });
      spd.set(i, { action: "protect", inboundSpi });
      this.#slots.push(sad.outboundOf(inboundSpi)!.slot);
    }
  }

  close(): void {
    this.#lent.aes?.close();
  }

  /** Seals BATCH packets for SAs `first` and up, of the first `spread` ones, and opens them again. */
  run(first: number, spread: number, length: number): void {
    for (let i = 0; i < BATCH; i++) {
      const at = packetAt(i);
      const packet = new DataView(this.#octets.buffer, at, 20);
      const host = 0x0a00_0000 + ((first + i) % spread);
      packet.setUint32(0, 0x4500_0000 | length);
      packet.setUint32(4, 0);
      packet.setUint32(8, 0x40ff_0000);
      packet.setUint32(12, host);
      packet.setUint32(16, host);
      this.#describe(i, at, length);
    }
    this.#kernel.espEncapsulateBatch(0, BATCH);
    for (let i = 0; i < BATCH; i++) {
      const sealed = descriptorAt(i);
      this.#describe(
        BATCH + i,
        this.#words[sealed + DESCRIPTOR_RESULT_OFFSET / 4]!,
        this.#words[sealed + DESCRIPTOR_RESULT_LENGTH_OFFSET / 4]!,
      );
    }
    this.#kernel.espDecapsulateBatch(BATCH, BATCH);
  }

  /** Throws unless the last run went through the SAs it was meant for. */
  check(first: number, spread: number, length: number): void {
    for (let i = 0; i < BATCH; i++) {
      const [sealed, opened] = [descriptorAt(i), descriptorAt(BATCH + i)];
      const word = (descriptor: number, offset: number) => this.#words[descriptor + offset / 4]!;
      const isFine =
        word(sealed, DESCRIPTOR_STATUS_OFFSET) === STATUS_OK &&
        word(sealed, DESCRIPTOR_SA_OFFSET) === this.#slots[(first + i) % spread] &&
        word(opened, DESCRIPTOR_STATUS_OFFSET) === STATUS_OK &&
        word(opened, DESCRIPTOR_RESULT_LENGTH_OFFSET) === length;
      if (!isFine) throw new Error(`packet ${i} of SA ${(first + i) % spread} did not come through`);
    }
  }

  #describe(index: number, at: number, length: number): void {
    const descriptor = descriptorAt(index);
    this.#words.fill(0, descriptor, descriptor + DESCRIPTOR_SIZE / 4);
    this.#words[descriptor + DESCRIPTOR_SOURCE_OFFSET / 4] = at;
    this.#words[descriptor + DESCRIPTOR_LENGTH_OFFSET / 4] = length;
  }
}

function packetAt(index: number): number {
  return REGION + WORKER_TUN_SLAB_OFFSET + index * (2048 + TRAILER_ROOM);
}

function descriptorAt(index: number): number {
  return (REGION + WORKER_DESCRIPTORS_OFFSET + index * DESCRIPTOR_SIZE) / 4;
}

function addressOf(i: number): Uint8Array {
  return Uint8Array.of(10, i >> 16, (i >> 8) & 255, i & 255);
}

function range(startAddress: Uint8Array, endAddress = startAddress): TrafficSelector {
  const any = { protocol: 0, startPort: 0, endPort: 65535 };
  return { type: TrafficSelectorType.TS_IPV4_ADDR_RANGE, ...any, startAddress, endAddress };
}
