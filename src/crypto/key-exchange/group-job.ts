import { agree, findGroup, type Group, type GroupSecret, type KeyExchangeAnswer, respond } from "./group.ts";

/** A key exchange job with its secret open, as it travels between threads. */
export type GroupJob =
  | { readonly kind: "generate"; readonly group: number }
  | { readonly kind: "respond"; readonly group: number; readonly peerPublicValue: Uint8Array }
  | {
      readonly kind: "agree";
      readonly group: number;
      readonly secret: GroupSecret;
      readonly peerPublicValue: Uint8Array;
    };

export type GroupAnswer =
  | { readonly kind: "generated"; readonly publicValue: Uint8Array; readonly secret: GroupSecret }
  | { readonly kind: "agreed"; readonly sharedSecret: Uint8Array }
  | ({ readonly kind: "responded" } & KeyExchangeAnswer)
  | { readonly kind: "failed"; readonly reason: string };

/** Does a job on the thread that calls. `group`: whose it is, where that is not this build's own. */
export function perform(job: GroupJob, group: Group | undefined = findGroup(job.group)): GroupAnswer {
  try {
    if (group === undefined) return { kind: "failed", reason: "this build lacks the group" };
    if (job.kind === "generate") return { kind: "generated", ...group.generate() };
    if (job.kind === "respond") return { kind: "responded", ...respond(group, job.peerPublicValue) };
    return { kind: "agreed", sharedSecret: agree(group, job.secret, job.peerPublicValue) };
  } catch (error) {
    return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
  }
}
