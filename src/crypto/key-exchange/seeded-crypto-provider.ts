import { createHash } from "node:crypto";
import type { ComputeJob, ComputeResult, CryptoProvider, PrivateKey } from "../jobs.ts";
import { checkAnswer, checkPublicValue, findGroup, type Group, groupName } from "./group.ts";

/** 2^61 - 1: small enough to be quick, prime, so that both sides come to the same value. */
const MODULUS = (1n << 61n) - 1n;
const GENERATOR = 37n;

/**
 * A toy for the simulator: every group becomes Diffie-Hellman modulo 2^61 - 1, with values as long as the real ones. Jobs
 * take microseconds, the same seed gives the same keys in the same order, and two providers agree on the same secret. It
 * protects nothing.
 *
 *   public value = zeros | g^a mod 2^61 - 1 (8 octets)        shared secret = SHA-256 of group and g^ab, repeated to length
 */
export class SeededCryptoProvider implements CryptoProvider {
  readonly #seed: number;
  #generated = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  async run(job: ComputeJob): Promise<ComputeResult> {
    return this.compute(job);
  }

  /** The same at once, for a simulator whose clock must not wait. */
  compute(job: ComputeJob): ComputeResult {
    const group = findGroup(job.group);
    if (group === undefined) return failed(job.group, "this build lacks the group");
    switch (job.kind) {
      case "generate-key-pair":
        return this.#generate(group, group.publicValueLength);
      case "respond":
        return this.#respond(group, job.peerPublicValue);
      case "agree":
        return (
          failure(group, checkAnswer(group, job.peerPublicValue)) ??
          agree(group, job.privateKey, job.peerPublicValue)
        );
    }
  }

  #respond(group: Group, peerPublicValue: Uint8Array): ComputeResult {
    const { publicValue, privateKey } = this.#generate(group, group.answerLength ?? group.publicValueLength);
    const refused = failure(group, checkPublicValue(group, peerPublicValue));
    const agreed = refused ?? agree(group, privateKey, peerPublicValue);
    return agreed.kind === "shared-secret" ? { ...agreed, kind: "response", publicValue } : agreed;
  }

  #generate(group: Group, length: number): Extract<ComputeResult, { kind: "key-pair" }> {
    const octets = createHash("sha256")
      .update(`${this.#seed}/${group.id}/${this.#generated++}`)
      .digest();
    const exponent = (octets.readBigUInt64BE() % (MODULUS - 3n)) + 2n;
    const privateKey = new SeededPrivateKey(group.id, exponent) as unknown as PrivateKey;
    return { kind: "key-pair", publicValue: encodeValue(power(GENERATOR, exponent), length), privateKey };
  }
}

class SeededPrivateKey {
  readonly group: number;
  readonly exponent: bigint;

  constructor(group: number, exponent: bigint) {
    this.group = group;
    this.exponent = exponent;
  }
}

function agree(group: Group, privateKey: unknown, peerPublicValue: Uint8Array): ComputeResult {
  if (!(privateKey instanceof SeededPrivateKey) || privateKey.group !== group.id) {
    return failed(group.id, "the private key belongs to another group or provider");
  }
  const value = decodeValue(peerPublicValue);
  if (value <= 1n || value >= MODULUS - 1n) return failed(group.id, `the public value is ${value}`);
  const common = power(value, privateKey.exponent);
  return { kind: "shared-secret", sharedSecret: expand(`${group.id}/${common}`, group.sharedSecretLength) };
}

function failure(group: Group, refusal: string | undefined): ComputeResult | undefined {
  return refusal === undefined ? undefined : failed(group.id, refusal);
}

function encodeValue(value: bigint, length: number): Uint8Array {
  const octets = new Uint8Array(length);
  new DataView(octets.buffer).setBigUint64(octets.length - 8, value);
  return octets;
}

function decodeValue(octets: Uint8Array): bigint {
  return octets.reduce((value, octet) => (value << 8n) | BigInt(octet), 0n);
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % MODULUS;
    square = (square * square) % MODULUS;
  }
  return result;
}

function expand(text: string, length: number): Uint8Array {
  const block = createHash("sha256").update(text).digest();
  return Uint8Array.from({ length }, (_, i) => block[i % block.length]!);
}

function failed(group: number, reason: string): Extract<ComputeResult, { kind: "failed" }> {
  return { kind: "failed", reason: `${groupName(group)}: ${reason}` };
}
