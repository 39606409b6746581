import { toHex } from "../bytes/hex.ts";
import { ErrorCause, RadiusAttribute, RadiusCode } from "../iana/radius.ts";
import type { AccountedSession } from "./accounting-record.ts";
import { isRequestGenuine, signAnswer, UNSIGNED } from "./authenticators.ts";
import { type NasIdentity, readDisconnectRequest } from "./disconnect-request.ts";
import {
  type Attribute,
  decodeRadius,
  encodeRadius,
  HEADER_LENGTH,
  integerAttribute,
  integerOf,
  LONGEST_PACKET,
  type RadiusPacket,
  valuesOf,
} from "./packet.ts";

/** Who may end sessions: a Dynamic Authorization Client (RFC 5176 section 1.3). */
export interface DisconnectClient {
  readonly address: string;
  readonly secret: Uint8Array;
}

/** Who may, and as whom they address us. */
export interface DisconnectRights extends NasIdentity {
  readonly clients: readonly DisconnectClient[];
}

export interface DisconnectServerSettings {
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  /** Whether there is time to look whether one more packet is genuine. */
  readonly hasTime: () => boolean;
  /** Ends the sessions that are meant, since a client at that address asks for it; how many there were. */
  readonly end: (isMeant: (session: AccountedSession) => boolean, address: string) => number;
  /** Requests that are remembered at most. */
  readonly most?: number;
}

/** What becomes of a packet: an answer to who sent it, or silence and why. */
export type DisconnectOutcome =
  | { readonly kind: "answer"; readonly octets: Uint8Array }
  | { readonly kind: "silence"; readonly reason: Unheard };

export type Unheard = "malformed" | "from a stranger" | "too many" | "forged" | "out of time";

/** RFC 5176 section 6.3: how far Event-Timestamp may be from our own clock. */
const WINDOW_S = 300;
/** Some 100 octets each. A server that ends more sessions within ten minutes is told to wait. */
const MOST_REMEMBERED = 4096;

interface Remembered {
  readonly answer: Uint8Array;
  /** When the request is too old to be heard, in seconds since 1970. */
  readonly until: number;
}

/**
 * Hears Disconnect-Requests (RFC 5176), and answers those that come from a configured address, are made with its secret and are new:
 * Event-Timestamp is within the window and not before our start, and what was heard within the window gets the same answer once more,
 * with nothing done. CoA-Requests are refused.
 */
export class DisconnectServer {
  readonly #settings: DisconnectServerSettings;
  readonly #startedAt: number;
  readonly #heard = new Map<string, Remembered>();

  constructor(settings: DisconnectServerSettings) {
    this.#settings = settings;
    this.#startedAt = this.#now();
  }

  receive(octets: Uint8Array, from: string, rights: DisconnectRights): DisconnectOutcome {
    const candidates = rights.clients.filter(({ address }) => address === from);
    if (candidates.length === 0) return silence("from a stranger");
    const request = decodeRadius(octets);
    if (request?.code !== RadiusCode.DISCONNECT_REQUEST && request?.code !== RadiusCode.COA_REQUEST) {
      return silence("malformed");
    }
    if (!this.#settings.hasTime()) return silence("too many");
    const client = candidates.find(({ secret }) => isRequestGenuine(octets, secret));
    if (client === undefined) return silence("forged");
    const stamps = valuesOf(request.attributes, RadiusAttribute.EVENT_TIMESTAMP).map(integerOf);
    if (!stamps.every((stamp) => this.#isTimely(stamp))) return silence("out of time");
    const key = `${from} ${toHex(request.authenticator)}`;
    const facts = { client, rights, key, stamp: stamps[0] };
    const answer = this.#heard.get(key)?.answer ?? this.#answer(request, facts);
    return { kind: "answer", octets: answer };
  }

  #isTimely(stamp: number | undefined): boolean {
    return stamp !== undefined && stamp > this.#startedAt && Math.abs(this.#now() - stamp) <= WINDOW_S;
  }

  #answer(
    request: RadiusPacket,
    facts: {
      readonly client: DisconnectClient;
      readonly rights: DisconnectRights;
      readonly key: string;
      readonly stamp: number | undefined;
    },
  ): Uint8Array {
    const { client, rights, key, stamp } = facts;
    const wish = readDisconnectRequest(request, rights);
    if (wish.kind === "refuse") return refusal(request, client, wish.cause);
    if (!this.#hasRoom()) return refusal(request, client, ErrorCause.RESOURCES_UNAVAILABLE);
    const count = this.#settings.end(wish.isMeant, client.address);
    const answer =
      count > 0
        ? sealed(request, client, { code: RadiusCode.DISCONNECT_ACK, attributes: [] })
        : refusal(request, client, ErrorCause.SESSION_CONTEXT_NOT_FOUND);
    this.#heard.set(key, { answer, until: (stamp ?? this.#now()) + WINDOW_S });
    return answer;
  }

  /** What could still come again is never forgotten. */
  #hasRoom(): boolean {
    const { most = MOST_REMEMBERED } = this.#settings;
    if (this.#heard.size < most) return true;
    const now = this.#now();
    for (const [key, { until }] of this.#heard) if (until < now) this.#heard.delete(key);
    return this.#heard.size < most;
  }

  #now(): number {
    return Math.floor(this.#settings.wallClock() / 1000);
  }
}

function silence(reason: Unheard): DisconnectOutcome {
  return { kind: "silence", reason };
}

function refusal(request: RadiusPacket, client: DisconnectClient, cause: number): Uint8Array {
  const code = request.code === RadiusCode.COA_REQUEST ? RadiusCode.COA_NAK : RadiusCode.DISCONNECT_NAK;
  const attributes = [integerAttribute(RadiusAttribute.ERROR_CAUSE, cause)];
  return sealed(request, client, { code, attributes });
}

function sealed(
  { identifier, authenticator, attributes }: RadiusPacket,
  { secret }: DisconnectClient,
  answer: Pick<RadiusPacket, "code" | "attributes">,
): Uint8Array {
  const signature = { type: RadiusAttribute.MESSAGE_AUTHENTICATOR, value: UNSIGNED };
  const own = [signature, ...answer.attributes];
  const packet = encodeRadius({
    code: answer.code,
    identifier,
    authenticator,
    attributes: [...own, ...proxyStates(attributes, own)],
  });
  signAnswer(packet, secret);
  return packet;
}

/** RFC 5176 section 3.1: as they came, in order. */
function proxyStates(request: readonly Attribute[], own: readonly Attribute[]): readonly Attribute[] {
  const lengthOf = (attributes: readonly Attribute[]) =>
    attributes.reduce((sum, { value }) => sum + value.length + 2, 0);
  const states = request.filter(({ type }) => type === RadiusAttribute.PROXY_STATE);
  // Where they leave no room for an answer, they come from no proxy.
  return HEADER_LENGTH + lengthOf(own) + lengthOf(states) > LONGEST_PACKET ? [] : states;
}
