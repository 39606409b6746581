import { EapCode, EapType } from "../iana/eap.ts";
import { MOST_PACKETS } from "./limits.ts";
import type { MethodResult, MethodStep, ServerMethod, ServerMethodRun } from "./method.ts";
import { decodeName } from "./names.ts";
import { decodeEapPacket, type EapResponse, encodeEapPacket } from "./packet.ts";
import type { EapServer, EapSession, EapStep } from "./session.ts";

/**
 * The authenticator's side of RFC 3748: asks for the identity, proposes its methods one after another, first the one that it likes
 * best, and lets the peer's Nak choose among those.
 */
export function createEapServer(settings: {
  /** In order of preference; at least one. */
  readonly methods: readonly ServerMethod[];
  readonly random: { bytes(length: number): Uint8Array };
}): EapServer {
  const { methods, random } = settings;
  if (methods.length === 0) throw new RangeError("an EAP server without a method");
  return {
    begin({ address }) {
      const session = new ServerSession({ methods, address, identifier: random.bytes(1)[0]! });
      return { session, first: session.first };
    },
  };
}

type State =
  | { readonly at: "identity" }
  | {
      readonly at: "method";
      readonly method: ServerMethod;
      readonly run: ServerMethodRun;
      readonly identity: string;
      /** Types that the peer may still choose by Nak. */
      readonly others: readonly ServerMethod[];
      /** RFC 3748 section 5.3.1: a Nak answers the first request of a method only. */
      readonly mayBeRefused: boolean;
    }
  | { readonly at: "end" };

class ServerSession implements EapSession {
  /** The Identity request, RFC 3748 section 5.1. */
  readonly first: Uint8Array;
  readonly #methods: readonly ServerMethod[];
  readonly #address: string;
  #state: State = { at: "identity" };
  /** Of the request that is to be answered. */
  #identifier: number;
  #packetCount = 0;
  #isBusy = false;

  constructor(settings: {
    readonly methods: readonly ServerMethod[];
    readonly address: string;
    readonly identifier: number;
  }) {
    this.#methods = settings.methods;
    this.#address = settings.address;
    this.#identifier = settings.identifier;
    this.first = this.#request(EapType.IDENTITY, new Uint8Array(0));
  }

  receive(octets: Uint8Array): EapStep | Promise<EapStep> {
    if (this.#state.at === "end" || this.#isBusy) return { kind: "ignore" };
    if (++this.#packetCount > MOST_PACKETS) return this.#fail(`more than ${MOST_PACKETS} packets`);
    const packet = decodeEapPacket(octets);
    // RFC 3748 section 4.1: a response to another request than the last is discarded silently.
    if (packet?.code !== EapCode.RESPONSE || packet.identifier !== this.#identifier)
      return { kind: "ignore" };
    return this.#state.at === "identity" ? this.#identityCame(packet) : this.#answerCame(this.#state, packet);
  }

  dispose(): void {
    if (this.#state.at === "method") this.#state.run.dispose();
    this.#state = { at: "end" };
  }

  #identityCame({ type, data }: EapResponse): EapStep {
    if (type !== EapType.IDENTITY) return this.#fail(`type ${type} instead of an identity`);
    const identity = decodeName(data);
    if (identity === undefined) return this.#fail(`an identity of ${data.length} octets that is no name`);
    const [preferred, ...others] = this.#methods;
    return this.#propose(preferred!, { identity, others });
  }

  #answerCame(state: State & { at: "method" }, { type, data }: EapResponse): EapStep | Promise<EapStep> {
    if (type === EapType.LEGACY_NAK) return this.#nakCame(state, data);
    if (type !== state.method.type) return this.#fail(`type ${type} within type ${state.method.type}`);
    this.#state = { ...state, mayBeRefused: false };
    const step = state.run.receive(data, this.#nextIdentifier);
    if (!(step instanceof Promise)) return this.#stepTaken(state, step);
    this.#isBusy = true;
    return step.then(
      (taken) => this.#stepTaken(state, taken),
      (cause: unknown) => this.#fail(`type ${state.method.type}: ${String(cause)}`),
    );
  }

  #stepTaken(state: State & { at: "method" }, step: MethodStep | MethodResult): EapStep {
    this.#isBusy = false;
    if (this.#state.at === "end") {
      if (step.kind === "success") step.msk?.fill(0);
      return { kind: "ignore" };
    }
    if (step.kind === "failure") return this.#fail(step.reason);
    if (step.kind === "send")
      return { kind: "send", packet: this.#nextRequest(state.method.type, step.data) };
    this.dispose();
    // RFC 3748 section 4.2: the Identifier is that of the response which it answers.
    const packet = encodeEapPacket({ code: EapCode.SUCCESS, identifier: this.#identifier });
    return { ...step, packet };
  }

  #nakCame(state: State & { at: "method" }, wanted: Uint8Array): EapStep {
    if (!state.mayBeRefused) return this.#fail("a Nak within a method");
    const next = state.others.find((method) => wanted.includes(method.type));
    if (next === undefined) {
      return this.#fail(`no method in common: the peer takes ${wanted.subarray(0, 16).join(", ") || "none"}`);
    }
    state.run.dispose();
    const others = state.others.filter((method) => method !== next);
    return this.#propose(next, { identity: state.identity, others });
  }

  #propose(
    method: ServerMethod,
    { identity, others }: { readonly identity: string; readonly others: readonly ServerMethod[] },
  ): EapStep {
    const run = method.begin({ identity, address: this.#address });
    this.#state = { at: "method", method, run, identity, others, mayBeRefused: true };
    return { kind: "send", packet: this.#nextRequest(method.type, run.open(this.#nextIdentifier)) };
  }

  #fail(reason: string): EapStep {
    this.#isBusy = false;
    this.dispose();
    const packet = encodeEapPacket({ code: EapCode.FAILURE, identifier: this.#identifier });
    return { kind: "failure", packet, reason };
  }

  get #nextIdentifier(): number {
    return (this.#identifier + 1) & 0xff;
  }

  #nextRequest(type: number, data: Uint8Array): Uint8Array {
    this.#identifier = this.#nextIdentifier;
    return this.#request(type, data);
  }

  #request(type: number, data: Uint8Array): Uint8Array {
    return encodeEapPacket({ code: EapCode.REQUEST, identifier: this.#identifier, type, data });
  }
}
