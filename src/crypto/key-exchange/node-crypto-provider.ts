import { availableParallelism } from "node:os";
import { wipe } from "../../bytes/wipe.ts";
import type { ComputeJob, ComputeResult, CryptoProvider, PrivateKey } from "../jobs.ts";
import {
  checkAnswer,
  checkPublicValue,
  findGroup,
  type Group,
  type GroupSecret,
  groupName,
} from "./group.ts";
import { type GroupAnswer, type GroupJob, perform } from "./group-job.ts";
import { WorkerPool } from "./worker-pool.ts";

/** One thread keeps up with the slowest group in use; a second helps where there are cores to spare. */
const DEFAULT_WORKER_COUNT = availableParallelism() > 2 ? 2 : 1;

/** 128 agreements of MODP_8192, the slowest, take a second: about as long as a peer waits before it retransmits. */
const DEFAULT_QUEUE_LIMIT = 128;

/**
 * Runs key exchange jobs in Node: quick groups (X25519, X448, P-256) at once, slower ones on threads of their own. Never
 * rejects; a public value that must be refused, a full queue and a group that is missing are `failed` with the reason.
 *
 * A private key agrees once: after a shared secret has come of it, it is overwritten and refused (a refused public value
 * leaves it as it was).
 */
export class NodeCryptoProvider implements CryptoProvider {
  readonly #pool: WorkerPool;
  readonly #groups: ReadonlyMap<number, Group>;

  /** `groups` are quick ones that take the place of this build's own. */
  constructor(
    options: {
      readonly groups?: readonly Group[];
      readonly workerCount?: number;
      readonly queueLimit?: number;
      readonly onThreadStart?: () => void;
    } = {},
  ) {
    this.#groups = new Map((options.groups ?? []).map((group) => [group.id, group]));
    this.#pool = new WorkerPool({
      onThreadStart: options.onThreadStart ?? (() => {}),
      size: options.workerCount ?? DEFAULT_WORKER_COUNT,
      queueLimit: options.queueLimit ?? DEFAULT_QUEUE_LIMIT,
    });
  }

  async run(job: ComputeJob): Promise<ComputeResult> {
    const name = groupName(job.group);
    const group = this.#groups.get(job.group) ?? findGroup(job.group);
    if (group === undefined) return failed(name, "this build lacks the group");
    switch (job.kind) {
      case "generate-key-pair":
        return this.#generate(group, name);
      case "respond":
        return this.#respond(group, name, job.peerPublicValue);
      case "agree":
        return this.#agree({ group, name, privateKey: job.privateKey, peerPublicValue: job.peerPublicValue });
    }
  }

  /** Ends the threads. Jobs under way and later ones fail. */
  close(): Promise<void> {
    return this.#pool.close();
  }

  async #generate(group: Group, name: string): Promise<ComputeResult> {
    const answer = await this.#perform(group, { kind: "generate", group: group.id });
    if (answer.kind !== "generated") return failed(name, reasonOf(answer));
    const privateKey = new NodePrivateKey(group.id, answer.secret) as unknown as PrivateKey;
    return { kind: "key-pair", publicValue: answer.publicValue, privateKey };
  }

  async #respond(group: Group, name: string, value: Uint8Array): Promise<ComputeResult> {
    const refusal = checkPublicValue(group, value);
    if (refusal !== undefined) return failed(name, refusal);
    const peerPublicValue = new Uint8Array(value);
    const answer = await this.#perform(group, { kind: "respond", group: group.id, peerPublicValue });
    if (answer.kind !== "responded") return failed(name, reasonOf(answer));
    return { ...answer, kind: "response" };
  }

  async #agree(input: {
    readonly group: Group;
    readonly name: string;
    readonly privateKey: PrivateKey;
    readonly peerPublicValue: Uint8Array;
  }): Promise<ComputeResult> {
    const { group, name } = input;
    const privateKey: unknown = input.privateKey;
    if (!(privateKey instanceof NodePrivateKey) || privateKey.group !== group.id) {
      return failed(name, "the private key belongs to another group or provider");
    }
    const secret = privateKey.secret();
    if (secret === undefined) return failed(name, "the private key has been used");
    // Before the queue: what is refused here costs an attacker's victim nothing.
    const refusal = checkAnswer(group, input.peerPublicValue);
    if (refusal !== undefined) return failed(name, refusal);

    // The datagram that the value is a view of may be gone before a thread is free.
    const peerPublicValue = new Uint8Array(input.peerPublicValue);
    const answer = await this.#perform(group, { kind: "agree", group: group.id, secret, peerPublicValue });
    if (answer.kind !== "agreed") return failed(name, reasonOf(answer));
    privateKey.wipe();
    return { kind: "shared-secret", sharedSecret: answer.sharedSecret };
  }

  async #perform(group: Group, job: GroupJob): Promise<GroupAnswer> {
    return group.isQuick ? perform(job, group) : this.#pool.run(job);
  }
}

/** What stands behind PrivateKey here. Its fields are private, so that no log prints them. */
class NodePrivateKey {
  readonly group: number;
  #secret: GroupSecret | undefined;

  constructor(group: number, secret: GroupSecret) {
    this.group = group;
    this.#secret = secret;
  }

  secret(): GroupSecret | undefined {
    return this.#secret;
  }

  wipe(): void {
    if (this.#secret instanceof Uint8Array) wipe(this.#secret);
    this.#secret = undefined; // a KeyObject is overwritten by OpenSSL when it is collected
  }
}

function reasonOf(answer: GroupAnswer): string {
  return answer.kind === "failed" ? answer.reason : `the thread answered "${answer.kind}"`;
}

function failed(name: string, reason: string): ComputeResult {
  return { kind: "failed", reason: `${name}: ${reason}` };
}
