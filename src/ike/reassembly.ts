import type { Limits } from "./limits.ts";

/** One authentic fragment, opened (RFC 7383 section 2.5). */
export interface Fragment {
  readonly messageId: number;
  readonly number: number;
  readonly total: number;
  /** Type of the first payload; only fragment 1 knows it. */
  readonly nextPayload: number;
  readonly plaintext: Uint8Array;
  /** Its sender has keys, and nobody has authenticated it. */
  readonly isFromStranger?: boolean;
}

export type ReassemblyResult =
  | { readonly kind: "need-more" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "whole"; readonly nextPayload: number; readonly plaintext: Uint8Array };

/** What all SAs together hold in fragments. */
export interface ReassemblyBudget {
  octets: number;
}

/**
 * Puts one message together (RFC 7383 section 2.6). A fragment of another message ID starts over.
 */
export class Reassembly {
  readonly #limits: Limits;
  readonly #budget: ReassemblyBudget;
  #collecting: Collecting | undefined;

  constructor(facts: { readonly limits: Limits; readonly budget: ReassemblyBudget }) {
    this.#limits = facts.limits;
    this.#budget = facts.budget;
  }

  get isCollecting(): boolean {
    return this.#collecting !== undefined;
  }

  add(fragment: Fragment): ReassemblyResult {
    const { number, total, plaintext } = fragment;
    if (number === 0 || number > total) return refused(`fragment ${number} of ${total}`);
    if (total > this.#limits.fragmentCount) return refused(`${total} fragments`);

    let collecting = this.#collecting;
    if (collecting !== undefined && collecting.messageId === fragment.messageId) {
      // A larger total means that the peer found a smaller path and cut anew; a smaller one is an old fragment.
      if (total < collecting.total)
        return refused(`a message of ${total} fragments after one of ${collecting.total}`);
      if (total > collecting.total) collecting = this.#restart(fragment);
    } else {
      collecting = this.#restart(fragment);
    }

    if (collecting.parts.has(number)) return refused(`fragment ${number} again`);
    if (collecting.length + plaintext.length > this.#limits.reassemblyLength) {
      return refused(`more than ${this.#limits.reassemblyLength} octets in fragments`);
    }
    // Anybody can come as far as to send fragments: half of the room is kept for those that we know.
    const { reassemblyTotalLength } = this.#limits;
    const room = fragment.isFromStranger === true ? reassemblyTotalLength / 2 : reassemblyTotalLength;
    if (this.#budget.octets + plaintext.length > room) {
      return refused("too many octets in fragments of all peers");
    }
    collecting.parts.set(number, plaintext);
    collecting.length += plaintext.length;
    this.#budget.octets += plaintext.length;
    if (number === 1) collecting.nextPayload = fragment.nextPayload;
    if (collecting.parts.size < total) return { kind: "need-more" };

    const whole = new Uint8Array(collecting.length);
    let at = 0;
    for (let i = 1; i <= total; i++) {
      const part = collecting.parts.get(i)!;
      whole.set(part, at);
      at += part.length;
    }
    const { nextPayload } = collecting;
    this.clear();
    return { kind: "whole", nextPayload, plaintext: whole };
  }

  clear(): void {
    this.#budget.octets -= this.#collecting?.length ?? 0;
    this.#collecting = undefined;
  }

  #restart({ messageId, total }: Fragment): Collecting {
    this.clear();
    this.#collecting = { messageId, total, nextPayload: 0, parts: new Map(), length: 0 };
    return this.#collecting;
  }
}

interface Collecting {
  readonly messageId: number;
  readonly total: number;
  nextPayload: number;
  readonly parts: Map<number, Uint8Array>;
  length: number;
}

function refused(reason: string): ReassemblyResult {
  return { kind: "refused", reason };
}
