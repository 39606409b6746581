import { equal } from "../bytes/constant-time.ts";
import { EapCode, EapType } from "../iana/eap.ts";
import { MOST_PACKETS } from "./limits.ts";
import type { ClientMethod, ClientMethodRun, MethodStep } from "./method.ts";
import { decodeEapPacket, type EapRequest, encodeEapPacket } from "./packet.ts";
import type { EapClient, EapSession, EapStep } from "./session.ts";

/**
 * The peer's side of RFC 3748: says who it is, takes the first request of a method that it has, and answers others with a Nak.
 * Whoever carries the packets has verified the server before (RFC 7296 section 2.16): what the methods say to a stranger can be guessed at.
 */
export function createEapClient(settings: {
  /** What it answers when it is asked for its identity. */
  readonly identity: string;
  /** In order of preference; at least one. */
  readonly methods: readonly ClientMethod[];
}): EapClient {
  if (settings.methods.length === 0) throw new RangeError("an EAP client without a method");
  return { begin: () => new ClientSession(settings.identity, settings.methods) };
}

class ClientSession implements EapSession {
  readonly #identity: Uint8Array;
  readonly #methods: readonly ClientMethod[];
  #method: { readonly type: number; readonly run: ClientMethodRun } | undefined;
  /** The last request and what we answered: a duplicate gets the same again (RFC 3748 section 4.1). */
  #last: { readonly request: Uint8Array; readonly response: Uint8Array } | undefined;
  #packetCount = 0;
  #isBusy = false;
  #isOver = false;

  constructor(identity: string, methods: readonly ClientMethod[]) {
    this.#identity = new TextEncoder().encode(identity);
    this.#methods = methods;
  }

  receive(octets: Uint8Array): EapStep | Promise<EapStep> {
    if (this.#isOver || this.#isBusy) return { kind: "ignore" };
    if (++this.#packetCount > MOST_PACKETS) return this.#fail(`more than ${MOST_PACKETS} packets`);
    const packet = decodeEapPacket(octets);
    switch (packet?.code) {
      case EapCode.REQUEST:
        return this.#requestCame(packet, octets);
      // What a result answers is settled by where the method stands. Servers differ in the Identifier that they put here.
      case EapCode.SUCCESS:
        return this.#successCame();
      case EapCode.FAILURE:
        return this.#fail(this.#method?.run.refusal ?? "the server refused us and gave no reason");
      default:
        return { kind: "ignore" };
    }
  }

  dispose(): void {
    this.#isOver = true;
    this.#method?.run.dispose();
    this.#method = undefined;
    this.#last = undefined;
  }

  #requestCame(packet: EapRequest, octets: Uint8Array): EapStep | Promise<EapStep> {
    if (this.#last !== undefined && equal(this.#last.request, octets)) {
      return { kind: "send", packet: this.#last.response };
    }
    const { type, data } = packet;
    const request = octets.slice();
    const respond = (responseType: number, response: Uint8Array): EapStep => {
      const sent = encodeEapPacket({
        code: EapCode.RESPONSE,
        identifier: packet.identifier,
        type: responseType,
        data: response,
      });
      this.#last = { request, response: sent };
      return { kind: "send", packet: sent };
    };
    // RFC 3748 section 5.2: whatever it says, an empty answer.
    if (type === EapType.NOTIFICATION) return respond(type, new Uint8Array(0));
    if (type === EapType.IDENTITY) {
      // RFC 3748 section 2.1: once a method has begun, there is no other.
      if (this.#method !== undefined) return this.#fail("asked for an identity within a method");
      return respond(type, this.#identity);
    }
    if (this.#method !== undefined && this.#method.type !== type) {
      return this.#fail(`type ${type} within type ${this.#method.type}`);
    }
    const run = this.#method?.run ?? this.#beginMethod(type);
    // RFC 3748 section 5.3.1: the types that we would take instead.
    if (run === undefined) {
      return respond(
        EapType.LEGACY_NAK,
        Uint8Array.from(this.#methods, (method) => method.type),
      );
    }
    const take = (step: MethodStep): EapStep => {
      this.#isBusy = false;
      if (this.#isOver) return { kind: "ignore" };
      return step.kind === "failure" ? this.#fail(step.reason) : respond(type, step.data);
    };
    const step = run.receive(data);
    if (!(step instanceof Promise)) return take(step);
    this.#isBusy = true;
    return step.then(take, (cause: unknown) => this.#fail(`type ${type}: ${String(cause)}`));
  }

  #beginMethod(type: number): ClientMethodRun | undefined {
    const method = this.#methods.find((candidate) => candidate.type === type);
    if (method === undefined) return undefined;
    const run = method.begin();
    this.#method = { type, run };
    return run;
  }

  #successCame(): EapStep {
    const result = this.#method?.run.result;
    // Whoever skips the method has shown nothing, and there would be no key.
    if (result === undefined) return this.#fail("EAP-Success came before it was due");
    const success = { ...result, msk: result.msk?.slice() };
    this.dispose();
    return success;
  }

  #fail(reason: string): EapStep {
    this.#isBusy = false;
    this.dispose();
    return { kind: "failure", reason };
  }
}
