import { randomBytes } from "node:crypto";
import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import type { Kernel } from "../../src/esp/kernel.ts";
import type { LentCiphers } from "../../src/platform/native-ciphers/lent-ciphers.ts";
import { KernelBatch } from "./kernel-batch.ts";
import { isLent } from "./lending.ts";
import {
  type AeadName,
  type EtmName,
  isEtm,
  KEY_LENGTHS,
  makePackets,
  openWithNode,
  type Packet,
  sealWithNode,
} from "./packets.ts";
import { expectEqual, type Subject } from "./subject.ts";

const BATCH = 64;
const LENGTHS = [64, 256, 1400, 9000];
const AEADS: readonly { readonly aead: AeadName | EtmName; readonly title: string }[] = [
  { aead: "aes-128-gcm", title: "AES-128-GCM" },
  { aead: "aes-256-gcm", title: "AES-256-GCM" },
  { aead: "chacha20-poly1305", title: "ChaCha20-Poly1305" },
  { aead: "aes-256-cbc-sha1", title: "AES-256-CBC + HMAC-SHA1" },
  { aead: "aes-256-cbc-sha256", title: "AES-256-CBC + HMAC-SHA2-256" },
  { aead: "aes-256-cbc-sha512", title: "AES-256-CBC + HMAC-SHA2-512" },
];

interface AeadWork {
  readonly aead: AeadName | EtmName;
  readonly title: string;
  readonly length: number;
  readonly isSealing: boolean;
}

/** What subjects run on: the kernel as a data worker has it, with what it is lent, and as one that is lent nothing. Each has a region of its own. */
export interface Kernels {
  readonly buffer: SharedArrayBuffer;
  readonly kernel: Kernel;
  readonly lent: LentCiphers;
  readonly own: Kernel;
}

/** Regions of the two kernels. */
export const WORKER = 0;
export const OWN_CIPHERS_WORKER = 1;

/**
 * The kernels against others, 64 packets of one SA in a run: the kernel takes them as a batch, the others one by one. Where the processor
 * lends something, the kernel runs without it too.
 */
export function* aeadSubjects(kernels: Kernels): Generator<Subject> {
  for (const { aead, title } of AEADS) {
    // CBC takes whole blocks.
    for (const length of LENGTHS.map((octets) => (isEtm(aead) ? octets - (octets % 16) : octets))) {
      for (const isSealing of [true, false]) {
        yield aeadSubject(kernels, { aead, title, length, isSealing });
      }
    }
  }
}

function aeadSubject(
  { buffer, kernel, lent, own }: Kernels,
  { aead, title, length, isSealing }: AeadWork,
): Subject {
  const key = randomBytes(KEY_LENGTHS[aead]);
  const packets = makePackets(aead, { key, count: BATCH, length });
  const contender = (name: string, instance: Kernel, worker: number) => {
    const batch = new KernelBatch(instance, { buffer, worker, aead });
    batch.expandKey(key, worker);
    batch.put(packets, { slot: worker, isSealed: !isSealing });
    return {
      name,
      run: isSealing ? () => batch.seal() : () => batch.open(),
      output: () => (isSealing ? batch.sealed() : batch.opened()),
    };
  };
  const ours = contender("kernel", kernel, WORKER);
  const alone = isLent(aead, lent) ? [contender("kernel, its own ciphers", own, OWN_CIPHERS_WORKER)] : [];
  const others = isSealing ? sealers(aead, key) : openers(aead, key);
  const name = `${title} ${isSealing ? "seal" : "open"} ${length} B`;
  return {
    group: "AEAD, batches of 64 packets",
    name,
    operations: BATCH,
    octets: BATCH * length,
    contenders: [
      ours,
      ...others.map(({ name, doOne }) => ({
        name,
        run() {
          for (const packet of packets) doOne(packet);
        },
      })),
      ...alone,
    ],
    prove() {
      const outputs = new Map<string, Uint8Array>();
      for (const { name, run, output } of [ours, ...alone]) {
        run();
        outputs.set(name, output());
      }
      for (const { name, doOne } of others) {
        outputs.set(name, Buffer.concat(packets.flatMap((packet) => doOne(packet))));
      }
      expectEqual(name, outputs);
    },
  };
}

/** Somebody who takes one packet at a time; what comes out may be in pieces. */
interface OneByOne {
  readonly name: string;
  readonly doOne: (packet: Packet) => readonly Uint8Array[] | Uint8Array;
}

function sealers(aead: AeadName | EtmName, key: Uint8Array): readonly OneByOne[] {
  const noble = isEtm(aead) ? undefined : nobleCipher(aead);
  return [
    {
      name: "node:crypto",
      doOne(packet) {
        const { ciphertext, tag } = sealWithNode(aead, key, packet);
        return [ciphertext, tag];
      },
    },
    ...(noble === undefined
      ? []
      : [
          {
            name: "@noble/ciphers",
            doOne: ({ nonce, aad, plaintext }: Packet) => noble(key, nonce, aad).encrypt(plaintext),
          },
        ]),
  ];
}

function openers(aead: AeadName | EtmName, key: Uint8Array): readonly OneByOne[] {
  const noble = isEtm(aead) ? undefined : nobleCipher(aead);
  return [
    { name: "node:crypto", doOne: (packet) => openWithNode(aead, key, packet) },
    ...(noble === undefined
      ? []
      : [
          {
            name: "@noble/ciphers",
            doOne: ({ nonce, aad, sealed }: Packet) => noble(key, nonce, aad).decrypt(sealed),
          },
        ]),
  ];
}

function nobleCipher(aead: AeadName): typeof gcm | typeof chacha20poly1305 {
  return aead === "chacha20-poly1305" ? chacha20poly1305 : gcm;
}
