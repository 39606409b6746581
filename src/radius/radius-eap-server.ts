import { concat } from "../bytes/concat.ts";
import { formatAddress } from "../bytes/ip-address.ts";
import { MOST_PACKETS } from "../eap/limits.ts";
import { decodeName } from "../eap/names.ts";
import { decodeEapPacket, encodeEapPacket } from "../eap/packet.ts";
import type { EapGrants, EapServer, EapSession, EapStep } from "../eap/session.ts";
import { EapCode, EapType } from "../iana/eap.ts";
import { NasPortType, RadiusAttribute, RadiusCode, ServiceType } from "../iana/radius.ts";
import { mskOf } from "./mppe-keys.ts";
import {
  type Attribute,
  integerAttribute,
  integerOf,
  LONGEST_VALUE,
  textAttribute,
  valuesOf,
} from "./packet.ts";
import type { RadiusAnswer, RadiusClient, RadiusServer } from "./radius-client.ts";

/** What is left for EAP in a RADIUS packet beside all other attributes. */
const LONGEST_EAP_PACKET = 3072;

/**
 * Pass-through authenticator (RFC 3748 section 2.3, RFC 3579): asks for the identity itself, and carries everything else to a RADIUS
 * server and back. Which methods there are is the server's affair.
 */
export function radiusEapServer(settings: {
  readonly client: RadiusClient;
  /** What the gateway calls itself, NAS-Identifier. */
  readonly nasIdentifier: string;
  readonly random: { bytes(length: number): Uint8Array };
}): EapServer {
  const { client, nasIdentifier, random } = settings;
  return {
    begin({ address }) {
      const session = new PassThrough({ client, nasIdentifier, address, identifier: random.bytes(1)[0]! });
      return { session, first: session.first };
    },
  };
}

class PassThrough implements EapSession {
  /** The Identity request. */
  readonly first: Uint8Array;
  readonly #client: RadiusClient;
  /** The same in each Access-Request. */
  readonly #facts: readonly Attribute[];
  /** Of the request that is to be answered. */
  #identifier: number;
  #identity: string | undefined;
  #server: RadiusServer | undefined;
  #state: readonly Uint8Array[] = [];
  #packetCount = 0;
  #isBusy = false;
  #isOver = false;

  constructor(settings: {
    readonly client: RadiusClient;
    readonly nasIdentifier: string;
    readonly address: string;
    readonly identifier: number;
  }) {
    this.#client = settings.client;
    this.#identifier = settings.identifier;
    this.#facts = [
      textAttribute(RadiusAttribute.NAS_IDENTIFIER, settings.nasIdentifier),
      textAttribute(RadiusAttribute.CALLING_STATION_ID, settings.address),
      integerAttribute(RadiusAttribute.SERVICE_TYPE, ServiceType.FRAMED),
      integerAttribute(RadiusAttribute.NAS_PORT_TYPE, NasPortType.VIRTUAL),
    ];
    const data = new Uint8Array(0);
    this.first = encodeEapPacket({
      code: EapCode.REQUEST,
      identifier: settings.identifier,
      type: EapType.IDENTITY,
      data,
    });
  }

  receive(octets: Uint8Array): EapStep | Promise<EapStep> {
    if (this.#isOver || this.#isBusy) return { kind: "ignore" };
    if (++this.#packetCount > MOST_PACKETS) return this.#fail(`more than ${MOST_PACKETS} packets`);
    const packet = decodeEapPacket(octets);
    if (packet?.code !== EapCode.RESPONSE || packet.identifier !== this.#identifier)
      return { kind: "ignore" };
    if (octets.length > LONGEST_EAP_PACKET)
      return this.#fail(`an EAP packet of ${octets.length} octets is too long for RADIUS`);
    const isIdentity = packet.type === EapType.IDENTITY;
    if (isIdentity !== (this.#identity === undefined)) return this.#fail(`type ${packet.type} out of turn`);
    const identity = this.#identity ?? decodeName(packet.data);
    if (identity === undefined)
      return this.#fail(`an identity of ${packet.data.length} octets that is no name`);
    this.#identity = identity;
    return this.#pass(octets.slice(), identity);
  }

  dispose(): void {
    this.#isOver = true;
    this.#state = [];
  }

  async #pass(octets: Uint8Array, identity: string): Promise<EapStep> {
    this.#isBusy = true;
    const attributes = [
      textAttribute(RadiusAttribute.USER_NAME, identity),
      ...this.#facts,
      ...this.#state.map((value) => ({ type: RadiusAttribute.STATE, value })),
      ...inPieces(octets),
    ];
    const server = this.#server;
    const answer = await this.#client.ask({ code: RadiusCode.ACCESS_REQUEST, attributes, server });
    this.#isBusy = false;
    if (this.#isOver) return { kind: "ignore" };
    return answer.kind === "silence" ? this.#fail(answer.reason) : this.#answered(answer, identity);
  }

  #answered(answer: RadiusAnswer & { readonly kind: "answer" }, identity: string): EapStep {
    const { code, attributes } = answer.packet;
    const octets = concat(...valuesOf(attributes, RadiusAttribute.EAP_MESSAGE));
    const packet = decodeEapPacket(octets);
    switch (code) {
      case RadiusCode.ACCESS_CHALLENGE:
        if (packet?.code !== EapCode.REQUEST)
          return this.#fail("a challenge of the RADIUS server without a request");
        this.#server = answer.server;
        this.#state = valuesOf(attributes, RadiusAttribute.STATE).map((value) => value.slice());
        this.#identifier = packet.identifier;
        return { kind: "send", packet: octets };
      case RadiusCode.ACCESS_ACCEPT:
        // RFC 3579 section 2.6.3: what the two packets say must be the same.
        if (packet?.code !== EapCode.SUCCESS)
          return this.#fail("a RADIUS server accepts without EAP-Success");
        return this.#accepted(answer, { identity, packet: octets });
      case RadiusCode.ACCESS_REJECT:
        return this.#fail(rejection(attributes, identity));
      default:
        return this.#fail(`a RADIUS server answers with code ${code}`);
    }
  }

  #accepted(
    { packet: { attributes }, request, server }: RadiusAnswer & { readonly kind: "answer" },
    { identity, packet }: { readonly identity: string; readonly packet: Uint8Array },
  ): EapStep {
    this.dispose();
    const msk = mskOf(attributes, { request, secret: server.secret });
    // RFC 2865 section 5.1: the server may tell the name that it goes by.
    const name =
      decodeName(valuesOf(attributes, RadiusAttribute.USER_NAME)[0] ?? new Uint8Array(0)) ?? identity;
    return { kind: "success", packet, msk, identity: name, grants: grantsOf(attributes) };
  }

  #fail(reason: string): EapStep {
    this.dispose();
    const packet = encodeEapPacket({ code: EapCode.FAILURE, identifier: this.#identifier });
    return { kind: "failure", packet, reason };
  }
}

/** RFC 3579 section 3.1: one behind the other, in order. */
function inPieces(octets: Uint8Array): readonly Attribute[] {
  const pieces: Attribute[] = [];
  for (let at = 0; at < octets.length; at += LONGEST_VALUE) {
    pieces.push({ type: RadiusAttribute.EAP_MESSAGE, value: octets.subarray(at, at + LONGEST_VALUE) });
  }
  return pieces;
}

function grantsOf(attributes: readonly Attribute[]): EapGrants {
  const address = valuesOf(attributes, RadiusAttribute.FRAMED_IP_ADDRESS)[0];
  const seconds = integerOf(valuesOf(attributes, RadiusAttribute.SESSION_TIMEOUT)[0]);
  const interim = integerOf(valuesOf(attributes, RadiusAttribute.ACCT_INTERIM_INTERVAL)[0]);
  return {
    ...(isHostAddress(address) && { address: formatAddress(address) }),
    class: valuesOf(attributes, RadiusAttribute.CLASS).map((value) => value.slice()),
    ...(seconds !== undefined && { sessionSeconds: seconds }),
    ...(interim !== undefined && { interimSeconds: interim }),
  };
}

/** RFC 2865 section 5.8: 255.255.255.255 and .254 leave the choice to the user or to us. */
function isHostAddress(value: Uint8Array | undefined): value is Uint8Array {
  const address = integerOf(value);
  return address !== undefined && address !== 0 && address < 0xffff_fffe;
}

function rejection(attributes: readonly Attribute[], identity: string): string {
  const message = valuesOf(attributes, RadiusAttribute.REPLY_MESSAGE)[0];
  const said = message === undefined ? undefined : decodeName(message);
  const shown = JSON.stringify(identity);
  return said === undefined
    ? `the RADIUS server refuses ${shown}`
    : `the RADIUS server refuses ${shown}: ${JSON.stringify(said)}`;
}
