import { describe, expect, test } from "vitest";
import { pskAuth } from "../../src/auth/psk.ts";
import { identificationBody, signedOctets } from "../../src/auth/signed-octets.ts";
import { concat } from "../../src/bytes/concat.ts";
import {
  AuthenticationMethod,
  ExchangeType,
  NotifyType,
  PayloadType,
  ProtocolId,
  TransformType,
} from "../../src/iana/ikev2-parameters.ts";
import type { Counters } from "../../src/ike/counters.ts";
import { encodeIkeSpi, encodeSpi, findNotify, notify } from "../../src/ike/payloads.ts";
import { suiteOf } from "../../src/ike/proposals.ts";
import { numberProposals } from "../../src/policy/transforms.ts";
import { decodeHeader, decodeMessage } from "../../src/wire/message.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import { expectClean, expectEstablished } from "../support/simulator/expectations.ts";
import {
  initiatorPolicy,
  pair,
  type RawPayload,
  raw,
  ScriptedPeer,
  type SimulatedMachine,
  scriptedEstablished,
  scriptedInitiator,
} from "../support/simulator/index.ts";

// What has broken other IKE daemons, as a table: what is sent, what we answer, and that state and memory are as before. CVEs about EAP,
// X.509, RADIUS, CRLs and OCSP are in the tests of those rooms, in `hostile-logins.test.ts` and in `certificate-refusals.test.ts`. Those
// about values of key exchanges are here for the message and in test/crypto for each group.

const { IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL } = ExchangeType;

interface Attack {
  readonly id: string;
  readonly what: string;
  /** Datagrams, sent one after another. */
  readonly send: (peer: ScriptedPeer) => readonly Uint8Array[];
  /** The notification that answers the last one, or the counter that it ends in. */
  readonly meets: number | keyof Counters;
  /** Whether the IKE SA ends there, as RFC 7296 sections 2.21.2 and 2.21.3 have it. */
  readonly ends?: boolean;
}

// ---- What is sent -------------------------------------------------------------------------------------------

/** IKE_SA_INIT with some payloads changed; undefined leaves one out. */
function init(peer: ScriptedPeer, change: (payload: Payload) => Payload | undefined): readonly Uint8Array[] {
  return [peer.init({ payloads: peer.initPayloads().flatMap((payload) => change(payload) ?? []) })];
}

function initWithout(kind: Payload["kind"]): Attack["send"] {
  return (peer) => init(peer, (payload) => (payload.kind === kind ? undefined : payload));
}

/** Every proposal loses or changes its transforms. */
function initWithTransforms(change: (transforms: Transforms) => Transforms): Attack["send"] {
  return (peer) =>
    init(peer, (payload) =>
      payload.kind === "security-association"
        ? {
            ...payload,
            proposals: payload.proposals.map((each) => ({ ...each, transforms: change(each.transforms) })),
          }
        : payload,
    );
}

type Transforms = Extract<Payload, { kind: "security-association" }>["proposals"][number]["transforms"];

function initWithKe(group: number | undefined, data: (length: number) => Uint8Array): Attack["send"] {
  return (peer) =>
    init(peer, (payload) =>
      payload.kind === "key-exchange"
        ? { ...payload, group: group ?? payload.group, data: data(payload.data.length) }
        : payload,
    );
}

/** IKE_SA_INIT whose payloads are changed as octets. */
function initRaw(change: (payloads: RawPayload[]) => RawPayload[]): Attack["send"] {
  return (peer) => [peer.initRaw(change(raw(peer.initPayloads())))];
}

/** IKE_SA_INIT with octets of the finished message overwritten. */
function initPatched(at: number, ...octets: number[]): Attack["send"] {
  return (peer) => {
    const message = peer.init();
    message.set(octets, at);
    return [message];
  };
}

function auth(change: (payload: Payload) => Payload | undefined): Attack["send"] {
  return (peer) => [
    peer.seal({
      exchangeType: IKE_AUTH,
      messageId: 1,
      payloads: peer.authPayloads().flatMap((payload) => change(payload) ?? []),
    }),
  ];
}

function authRaw(type: number, change: (body: Uint8Array) => Uint8Array): Attack["send"] {
  return (peer) => [
    peer.sealRaw({
      exchangeType: IKE_AUTH,
      messageId: 1,
      payloads: raw(peer.authPayloads()).map((each) =>
        each.type === type ? { ...each, body: change(each.body) } : each,
      ),
    }),
  ];
}

/** AUTH by another key than the right one. */
function withKey(peer: ScriptedPeer, presharedKey: Uint8Array): Payload {
  const { prfId } = suiteOf(peer.proposal);
  const octets = signedOctets({
    message: peer.initRequest,
    peerNonce: peer.peerNonce,
    prfId,
    skP: peer.keys!.skPi,
    identificationBody: identificationBody(peer.policy.local.identity),
  });
  const data = pskAuth({ prfId, psk: presharedKey, signedOctets: octets });
  const method = AuthenticationMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE;
  return { kind: "authentication", critical: false, method, data };
}

function without(kind: Payload["kind"]): (payload: Payload) => Payload | undefined {
  return (payload) => (payload.kind === kind ? undefined : payload);
}

/** A request under protection on the half-open SA (1) or the established one (2). */
function request(
  exchangeType: number,
  messageId: number,
  payloads: (peer: ScriptedPeer) => readonly Payload[],
): Attack["send"] {
  return (peer) => [peer.seal({ exchangeType, messageId, payloads: payloads(peer) })];
}

function nonce(peer: ScriptedPeer): Payload {
  return { kind: "nonce", critical: false, nonce: peer.random.bytes(32) };
}

function childWith(...more: Payload[]) {
  return (peer: ScriptedPeer): Payload[] => [...more, ...peer.authPayloads().slice(2), nonce(peer)];
}

function newIkeSa(ke: (peer: ScriptedPeer) => { readonly group: number; readonly data: Uint8Array }) {
  return (peer: ScriptedPeer): Payload[] => [
    {
      kind: "security-association",
      critical: false,
      proposals: numberProposals(peer.policy.ikeProposals, encodeIkeSpi(77n)),
    },
    nonce(peer),
    { kind: "key-exchange", critical: false, ...ke(peer) },
  ];
}

function rekeySa(protocolId: number, spi: Uint8Array): Payload {
  return { ...notify(NotifyType.REKEY_SA), protocolId, spi };
}

/** CREATE_CHILD_SA with one payload's octets changed. */
function childRaw(type: number, change: (body: Uint8Array) => Uint8Array): Attack["send"] {
  return (peer) => [
    peer.sealRaw({
      exchangeType: CREATE_CHILD_SA,
      messageId: 2,
      payloads: raw(childWith()(peer)).map((each) =>
        each.type === type ? { ...each, body: change(each.body) } : each,
      ),
    }),
  ];
}

/** The fragments of a long INFORMATIONAL request, with a change to each one's header before it is sealed: numbers are authentic. */
function fragments(change: (fragments: readonly Uint8Array[]) => readonly Uint8Array[]): Attack["send"] {
  return (peer) => {
    const payloads = [notify(40_000, new Uint8Array(900)), notify(40_001, new Uint8Array(900))];
    return change(peer.sealAll({ exchangeType: INFORMATIONAL, messageId: 2, payloads, fragmentLength: 600 }));
  };
}

function patched(octets: Uint8Array, at: number, ...values: number[]): Uint8Array {
  const copy = octets.slice();
  copy.set(values, at);
  return copy;
}

const EMPTY = new Uint8Array(0);

// ---- The table ----------------------------------------------------------------------------------------------

/** Whoever can send a datagram. */
const STRANGERS: readonly Attack[] = [
  {
    id: "CVE-2014-9221 (strongSwan)",
    what: "a key exchange of the private group 1025, which nobody offers beside it",
    send: initWithKe(1025, (length) => new Uint8Array(length).fill(7)),
    meets: NotifyType.INVALID_KE_PAYLOAD,
  },
  {
    id: "CVE-2014-9221 (strongSwan)",
    what: "a proposal of the private group 1025",
    send: initWithTransforms((transforms) =>
      transforms.map((each) => (each.type === TransformType.KE ? { ...each, id: 1025 } : each)),
    ),
    meets: NotifyType.NO_PROPOSAL_CHOSEN,
  },
  {
    id: "CVE-2018-10811 (strongSwan)",
    what: "a proposal without a PRF",
    send: initWithTransforms((transforms) => transforms.filter(({ type }) => type !== TransformType.PRF)),
    meets: NotifyType.NO_PROPOSAL_CHOSEN,
  },
  {
    id: "CVE-2016-5391 (libreswan)",
    what: "a proposal without a key exchange",
    send: initWithTransforms((transforms) => transforms.filter(({ type }) => type !== TransformType.KE)),
    meets: NotifyType.NO_PROPOSAL_CHOSEN,
  },
  {
    id: "CVE-2016-3071 (libreswan)",
    what: "a PRF that is not implemented (AES-XCBC)",
    send: initWithTransforms((transforms) =>
      transforms.map((each) => (each.type === TransformType.PRF ? { ...each, id: 4 } : each)),
    ),
    meets: NotifyType.NO_PROPOSAL_CHOSEN,
  },
  {
    id: "CVE-2015-3240 (libreswan)",
    what: "a public value of zero",
    send: initWithKe(undefined, (length) => new Uint8Array(length)),
    meets: "received",
  },
  {
    id: "CVE-2023-41913 (strongSwan)",
    what: "a public value of 4096 octets in a group of far fewer",
    send: initWithKe(undefined, () => new Uint8Array(4096).fill(9)),
    meets: "received",
  },
  {
    id: "attack: key exchange values",
    what: "a public value of no octets",
    send: initRaw((payloads) =>
      payloads.map((each) =>
        each.type === PayloadType.KE ? { ...each, body: each.body.slice(0, 4) } : each,
      ),
    ),
    meets: "malformed",
  },
  {
    id: "CVE-2013-6467 (libreswan)",
    what: "no SA payload",
    send: initWithout("security-association"),
    meets: "unexpected",
  },
  {
    id: "CVE-2013-6467 (libreswan)",
    what: "no KE payload",
    send: initWithout("key-exchange"),
    meets: "unexpected",
  },
  {
    id: "CVE-2013-6467 (libreswan)",
    what: "no Nonce payload",
    send: initWithout("nonce"),
    meets: "malformed",
  },
  {
    id: "CVE-2022-21849 (Windows)",
    what: "no payload at all",
    send: (peer) => [peer.init({ payloads: [] })],
    meets: "malformed",
  },
  {
    id: "CVE-2025-20253 (Cisco)",
    what: "a payload of length 0, over which a parser goes for ever",
    send: initPatched(30, 0, 0),
    meets: "malformed",
  },
  {
    id: "CVE-2025-20224 (Cisco)",
    what: "a payload that is shorter than its own header",
    send: initPatched(30, 0, 3),
    meets: "malformed",
  },
  {
    id: "attack: parser",
    what: "a payload that reaches beyond the message",
    send: initPatched(30, 0xff, 0xff),
    meets: "malformed",
  },
  {
    id: "attack: parser",
    what: "a message that says it is longer than it is",
    send: initPatched(24, 0, 1, 0, 0),
    meets: "malformed",
  },
  {
    id: "attack: parser",
    what: "a proposal that says it has 255 transforms",
    send: initRaw((payloads) =>
      payloads.map((each) =>
        each.type === PayloadType.SA ? { ...each, body: patched(each.body, 7, 255) } : each,
      ),
    ),
    meets: "malformed",
  },
  {
    id: "attack: parser",
    what: "a proposal without transforms",
    send: initRaw((payloads) =>
      payloads.map((each) =>
        each.type === PayloadType.SA ? { ...each, body: patched(each.body, 7, 0) } : each,
      ),
    ),
    meets: "malformed",
  },
  {
    id: "attack: parser",
    what: "a critical payload that is unknown, behind ten that are not critical",
    send: (peer) => {
      const unknown = Array.from(
        { length: 11 },
        (_, i): Payload => ({
          kind: "unknown",
          critical: i === 10,
          payloadType: 200,
          body: EMPTY,
        }),
      );
      return [peer.init({ extra: unknown })];
    },
    meets: NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD,
  },
  {
    id: "CVE-2026-12413 (libreswan)",
    what: "a fragment of nothing among unknown payloads, before there is an SA",
    send: (peer) => {
      const message = peer.initRaw([
        ...Array.from({ length: 60 }, () => ({ type: 200, body: new Uint8Array(4) })),
        { type: PayloadType.SKF, body: Uint8Array.of(0, 1, 0, 2, ...new Uint8Array(40)) },
      ]);
      return [message];
    },
    meets: "malformed",
  },
  {
    id: "CVE-2016-1287 (Cisco)",
    what: "a fragment whose payload has not even room for its numbers",
    send: (peer) => [peer.initRaw([{ type: PayloadType.SKF, body: Uint8Array.of(0, 1) }])],
    meets: "malformed",
  },
  {
    id: "attack: cookies",
    what: "a cookie of 1000 octets that nobody has given",
    send: (peer) => [peer.init({ extra: [notify(NotifyType.COOKIE, new Uint8Array(1000))] })],
    meets: "cookiesWrong",
  },
  {
    id: "attack: initiator SPI",
    what: "an initiator SPI of zero",
    send: initPatched(0, 0, 0, 0, 0, 0, 0, 0, 0),
    meets: "unexpected",
  },
  {
    id: "attack: version",
    what: "a major version of 3",
    send: initPatched(17, 0x30),
    meets: NotifyType.INVALID_MAJOR_VERSION,
  },
  {
    id: "attack: unknown SPI",
    what: "a request for an IKE SA that does not exist, however often",
    send: (peer) =>
      Array.from({ length: 50 }, (_, i) => patched(patched(peer.init(), 8, 1, 2, 3, i), 18, INFORMATIONAL)),
    meets: "unknownSpi",
  },
];

/** Whoever has done IKE_SA_INIT: there are keys, and nobody knows with whom. */
const UNAUTHENTICATED: readonly Attack[] = [
  {
    id: "CVE-2014-2338 (strongSwan)",
    what: "rekeying of the IKE SA before IKE_AUTH",
    send: request(
      CREATE_CHILD_SA,
      1,
      newIkeSa((peer) => ({ group: peer.group, data: peer.publicValue })),
    ),
    meets: "unexpected",
  },
  {
    id: "CVE-2014-2338 (strongSwan)",
    what: "a child SA before IKE_AUTH",
    send: request(CREATE_CHILD_SA, 1, childWith()),
    meets: "unexpected",
  },
  {
    id: "attack: order of exchanges",
    what: "a delete of the IKE SA before IKE_AUTH",
    send: request(INFORMATIONAL, 1, () => [
      { kind: "delete", critical: false, protocolId: ProtocolId.IKE, spis: [] },
    ]),
    meets: "unexpected",
  },
  {
    id: "attack: order of exchanges",
    what: "an answer to IKE_AUTH that nobody has asked for",
    send: (peer) => [
      peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads: peer.authPayloads(), isResponse: true }),
    ],
    meets: "outsideWindow",
  },
  {
    id: "CVE-2016-5361 (libreswan)",
    what: "the same IKE_SA_INIT a hundred times, cut short so that the answer would be larger",
    send: (peer) => {
      const { initRequest } = peer;
      const short = peer.init({ payloads: peer.initPayloads().slice(0, 3) });
      peer.initRequest = initRequest;
      return Array.from({ length: 100 }, () => short);
    },
    meets: "unexpected",
  },
  {
    id: "CVE-2013-6467 (libreswan)",
    what: "IKE_AUTH without IDi",
    send: auth(without("identification-initiator")),
    meets: NotifyType.AUTHENTICATION_FAILED,
    ends: true,
  },
  {
    id: "CVE-2021-45079 (strongSwan)",
    what: "IKE_AUTH without AUTH: who asks for EAP does not get in without it",
    send: auth(without("authentication")),
    meets: NotifyType.AUTHENTICATION_FAILED,
    ends: true,
  },
  {
    id: "CVE-2013-6467 (libreswan)",
    what: "IKE_AUTH with half of what a child SA needs",
    send: auth(without("traffic-selectors-initiator")),
    meets: NotifyType.INVALID_SYNTAX,
    ends: true,
  },
  {
    id: "CVE-2024-2357 (libreswan)",
    what: "AUTH by a pre-shared key of no octets",
    send: (peer) => {
      const forged = withKey(peer, EMPTY);
      return auth((payload) => (payload.kind === "authentication" ? forged : payload))(peer);
    },
    meets: NotifyType.AUTHENTICATION_FAILED,
    ends: true,
  },
  {
    id: "CVE-2020-16088 (OpenIKED)",
    what: "AUTH by a signature that nobody asked for, of any octets",
    send: auth((payload) =>
      payload.kind === "authentication"
        ? {
            ...payload,
            method: AuthenticationMethod.RSA_DIGITAL_SIGNATURE,
            data: new Uint8Array(256).fill(1),
          }
        : payload,
    ),
    meets: NotifyType.AUTHENTICATION_FAILED,
    ends: true,
  },
  {
    id: "CVE-2020-16088 (OpenIKED)",
    what: "AUTH of no octets",
    send: auth((payload) => (payload.kind === "authentication" ? { ...payload, data: EMPTY } : payload)),
    meets: NotifyType.AUTHENTICATION_FAILED,
    ends: true,
  },
  {
    id: "CVE-2013-6075 (strongSwan)",
    what: "an identity of no octets, which is a part of any",
    send: auth((payload) =>
      payload.kind === "identification-initiator" ? { ...payload, data: EMPTY } : payload,
    ),
    meets: NotifyType.AUTHENTICATION_FAILED,
    ends: true,
  },
  {
    id: "CVE-2013-6075 (strongSwan)",
    what: "an identity that is the beginning of the right one",
    send: auth((payload) =>
      payload.kind === "identification-initiator" ? { ...payload, data: payload.data.slice(0, -1) } : payload,
    ),
    meets: NotifyType.AUTHENTICATION_FAILED,
    ends: true,
  },
  {
    id: "CVE-2025-9242 (WatchGuard)",
    what: "an identity of 20,000 octets",
    send: auth((payload) =>
      payload.kind === "identification-initiator"
        ? { ...payload, data: new Uint8Array(20_000).fill(65) }
        : payload,
    ),
    meets: NotifyType.AUTHENTICATION_FAILED,
    ends: true,
  },
  {
    id: "CVE-2023-23009 (libreswan)",
    what: "traffic selectors fewer than their number says",
    send: authRaw(PayloadType.TSi, (body) => patched(body, 0, 9)),
    meets: NotifyType.INVALID_SYNTAX,
    ends: true,
  },
  {
    id: "CVE-2023-23009 (libreswan)",
    what: "a traffic selector that is longer than its payload",
    send: authRaw(PayloadType.TSr, (body) => patched(body, 6, 0xff, 0xff)),
    meets: NotifyType.INVALID_SYNTAX,
    ends: true,
  },
  {
    id: "CVE-2023-23009 (libreswan)",
    what: "a traffic selector of IPv6 with the length of one of IPv4",
    send: authRaw(PayloadType.TSi, (body) => patched(body, 4, 8)),
    meets: NotifyType.INVALID_SYNTAX,
    ends: true,
  },
];

/** A peer that is authenticated, and breaks the protocol. */
const AUTHENTICATED: readonly Attack[] = [
  {
    id: "CVE-2023-38710 (libreswan)",
    what: "REKEY_SA of a protocol that does not exist",
    send: request(CREATE_CHILD_SA, 2, childWith(rekeySa(77, encodeSpi(0x201)))),
    meets: NotifyType.CHILD_SA_NOT_FOUND,
  },
  {
    id: "CVE-2023-38710 (libreswan)",
    what: "REKEY_SA of AH",
    send: request(CREATE_CHILD_SA, 2, childWith(rekeySa(ProtocolId.AH, encodeSpi(0x201)))),
    meets: NotifyType.CHILD_SA_NOT_FOUND,
  },
  {
    id: "CVE-2023-38710 (libreswan)",
    what: "REKEY_SA of an SPI of no octets",
    send: request(CREATE_CHILD_SA, 2, childWith(rekeySa(ProtocolId.ESP, EMPTY))),
    meets: NotifyType.CHILD_SA_NOT_FOUND,
  },
  {
    id: "CVE-2023-38710 (libreswan)",
    what: "REKEY_SA of an SPI of 16 octets",
    send: request(CREATE_CHILD_SA, 2, childWith(rekeySa(ProtocolId.ESP, new Uint8Array(16).fill(2)))),
    meets: NotifyType.CHILD_SA_NOT_FOUND,
  },
  {
    id: "attack: rekeying",
    what: "REKEY_SA of an SPI that nobody has",
    send: request(CREATE_CHILD_SA, 2, childWith(rekeySa(ProtocolId.ESP, encodeSpi(0xdead)))),
    meets: NotifyType.CHILD_SA_NOT_FOUND,
  },
  {
    id: "CVE-2014-9221 (strongSwan)",
    what: "a new IKE SA with a key exchange of the private group 1025",
    send: request(
      CREATE_CHILD_SA,
      2,
      newIkeSa(() => ({ group: 1025, data: new Uint8Array(128).fill(1) })),
    ),
    meets: NotifyType.INVALID_KE_PAYLOAD,
  },
  {
    id: "CVE-2015-3240 (libreswan)",
    what: "a new IKE SA with a public value of zero",
    send: request(
      CREATE_CHILD_SA,
      2,
      newIkeSa((peer) => ({ group: peer.group, data: new Uint8Array(peer.publicValue.length) })),
    ),
    meets: NotifyType.INVALID_SYNTAX,
    ends: true,
  },
  {
    id: "CVE-2023-41913 (strongSwan)",
    what: "a new IKE SA with a public value of 4096 octets",
    send: request(
      CREATE_CHILD_SA,
      2,
      newIkeSa((peer) => ({ group: peer.group, data: new Uint8Array(4096).fill(3) })),
    ),
    meets: NotifyType.INVALID_SYNTAX,
    ends: true,
  },
  {
    id: "CVE-2013-6467 (libreswan)",
    what: "CREATE_CHILD_SA with nothing in it",
    send: request(CREATE_CHILD_SA, 2, () => []),
    meets: NotifyType.INVALID_SYNTAX,
    ends: true,
  },
  {
    id: "CVE-2013-6467 (libreswan)",
    what: "CREATE_CHILD_SA without traffic selectors",
    send: request(CREATE_CHILD_SA, 2, (peer) => [peer.authPayloads()[2]!, nonce(peer)]),
    meets: NotifyType.INVALID_SYNTAX,
    ends: true,
  },
  {
    id: "attack: wider selectors",
    what: "a child SA for networks that nobody allows",
    send: request(CREATE_CHILD_SA, 2, (peer) =>
      childWith()(peer).map((payload) =>
        payload.kind === "traffic-selectors-responder"
          ? {
              ...payload,
              selectors: payload.selectors.map((each) => ({
                ...each,
                startAddress: v4(172, 16),
                endAddress: v4(172, 17),
              })),
            }
          : payload,
      ),
    ),
    meets: NotifyType.TS_UNACCEPTABLE,
  },
  {
    id: "attack: wider selectors",
    what: "no traffic selector at all",
    send: childRaw(PayloadType.TSi, () => new Uint8Array(4)),
    meets: NotifyType.INVALID_SYNTAX,
    ends: true,
  },
  {
    id: "CVE-2023-23009 (libreswan)",
    what: "traffic selectors cut in the middle",
    send: childRaw(PayloadType.TSr, (body) => body.slice(0, 10)),
    meets: NotifyType.INVALID_SYNTAX,
    ends: true,
  },
  {
    id: "attack: parser",
    what: "a Delete that says it has more SPIs than it has",
    send: (peer) => [
      peer.sealRaw({
        exchangeType: INFORMATIONAL,
        messageId: 2,
        payloads: [{ type: PayloadType.D, body: Uint8Array.of(3, 4, 0xff, 0xff, 0, 0, 2, 1) }],
      }),
    ],
    meets: NotifyType.INVALID_SYNTAX,
    ends: true,
  },
  {
    id: "errata 7.7-033 (OpenIKED)",
    what: "IKE_AUTH once more on an SA that is authenticated",
    send: (peer) => [peer.seal({ exchangeType: IKE_AUTH, messageId: 2, payloads: peer.authPayloads() })],
    meets: NotifyType.INVALID_SYNTAX,
    ends: true,
  },
  {
    id: "errata 7.7-033 (OpenIKED)",
    what: "IKE_SA_INIT under the SPIs of an SA that is established",
    send: (peer) => [patched(peer.init(), 8, ...encodeIkeSpi(peer.peerSpi))],
    meets: "unexpected",
  },
  {
    id: "CVE-2022-34721 (Windows)",
    what: "fragment 0, and fragments numbered above their total",
    send: fragments(([first]) => [patched(first!, 32, 0, 0), patched(first!, 32, 0, 99)]),
    meets: "malformed",
  },
  {
    id: "CVE-2022-34722 (Windows)",
    what: "the first fragment again and again, and never the last",
    send: fragments(([first]) => Array.from({ length: 200 }, () => first!)),
    meets: "fragmentRefused",
  },
  {
    id: "CVE-2022-34718 (Windows)",
    what: "a fragment of a message of 65,535",
    send: fragments(([first]) => [patched(first!, 34, 0xff, 0xff)]),
    meets: "forged",
  },
  {
    id: "CVE-2026-12413 (libreswan)",
    what: "fragments among sixty unknown payloads in clear",
    send: fragments(([first]) => {
      const header = first!.slice(0, 28);
      const junk = Array.from({ length: 60 }, (_, i) =>
        Uint8Array.of(i === 59 ? PayloadType.SKF : 200, 0, 0, 4),
      );
      const message = concat(header, ...junk, first!.slice(28));
      message[16] = 200;
      new DataView(message.buffer).setUint32(24, message.length);
      return [message];
    }),
    meets: "forged",
  },
  {
    id: "CVE-2016-1344 (Cisco)",
    what: "a fragment cut behind its numbers",
    send: fragments(([first]) => {
      const cut = first!.slice(0, 37);
      const view = new DataView(cut.buffer);
      view.setUint32(24, cut.length);
      view.setUint16(30, cut.length - 28);
      return [cut];
    }),
    meets: "forged",
  },
  {
    id: "CVE-2023-21758 (Windows)",
    what: "a message with nothing but the header",
    send: (peer) => {
      const [message] = [peer.seal({ exchangeType: INFORMATIONAL, messageId: 2, payloads: [] })];
      const bare = message!.slice(0, 28);
      bare[16] = 0;
      new DataView(bare.buffer).setUint32(24, 28);
      return [bare];
    },
    meets: "unexpected",
  },
];

function v4(a: number, b: number): Uint8Array {
  return Uint8Array.of(a, b, 0, 0);
}

// ---- How they are judged ------------------------------------------------------------------------------------

const title = ({ id, what }: Attack): string => `${id}: ${what}`;
const rows = (attacks: readonly Attack[]) => attacks.map((attack) => [title(attack), attack] as const);

/** What a machine holds, apart from time. */
function holdingsOf(machine: SimulatedMachine) {
  return {
    ikeSas: machine.ikeSas.map(({ initiatorSpi, responderSpi, state }) => [
      initiatorSpi,
      responderSpi,
      state,
    ]),
    installed: [...machine.installed.keys()],
    reserved: [...machine.reserved],
  };
}

describe("from whoever can send a datagram", () => {
  test.each(rows(STRANGERS))("%s", (_, attack) => {
    const { initiator, responder: machine, link } = pair({ seed: 1 });
    const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 5000 });
    const before = machine.endpoint.counters.received;
    for (const octets of attack.send(peer)) peer.send(machine, octets);
    expectMet(attack, machine, () =>
      link.inFlight.flatMap(({ octets }) => decodeMessage(octets).payloads as Payload[]),
    );
    expect(machine.endpoint.counters.received).toBeGreaterThan(before);
    if (attack.meets === "received") expect(link.inFlight).toHaveLength(0);
    if (attack.meets !== "cookiesWrong")
      expect(holdingsOf(machine)).toEqual({ ikeSas: [], installed: [], reserved: [] });
    link.inFlight.length = 0;
    link.advanceBy(60_000);
    expectClean(machine);
    // And an honest peer comes in.
    initiator.connect();
    link.deliverAll();
    expectEstablished(initiator, machine);
  });
});

describe("from who has done IKE_SA_INIT", () => {
  test.each(rows(UNAUTHENTICATED))("%s", (_, attack) => {
    const { peer, machine, link } = scriptedInitiator({ seed: 2 });
    const before = holdingsOf(machine);
    const octets = attack.send(peer);
    const sent = octets.reduce((sum, { length }) => sum + length, 0);
    for (const each of octets) peer.send(machine, each);
    const answered = link.inFlight.reduce((sum, datagram) => sum + datagram.octets.length, 0);
    expect(answered).toBeLessThanOrEqual(Math.max(sent, 200));
    expectMet(attack, machine, () => peer.open(link.inFlight.at(-1)!.octets).payloads);
    expect(machine.installed.size).toBe(0);
    link.inFlight.length = 0;
    if (attack.ends !== true) {
      expect(holdingsOf(machine)).toEqual(before);
      // And the real IKE_AUTH is taken.
      peer.send(machine, peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads: peer.authPayloads() }));
      expect(machine.state).toBe("established");
      return;
    }
    expect(machine.ikeSas).toHaveLength(0);
    link.advanceBy(60_000);
    expectClean(machine);
  });
});

describe("from a peer that is authenticated", () => {
  test.each(rows(AUTHENTICATED))("%s", (_, attack) => {
    const { peer, machine, link } = scriptedEstablished({ seed: 3 });
    const { protection } = peer;
    const before = holdingsOf(machine);
    for (const octets of attack.send(peer)) peer.send(machine, octets);
    peer.protection = protection;
    expectMet(attack, machine, () => peer.open(link.inFlight.at(-1)!.octets).payloads);
    const isAnswered = link.inFlight.length > 0;
    link.inFlight.length = 0;
    if (attack.ends !== true) {
      expect(holdingsOf(machine)).toEqual(before);
      // And the next request is answered.
      const messageId = isAnswered ? 3 : 2;
      peer.send(machine, peer.seal({ exchangeType: INFORMATIONAL, messageId, payloads: [] }));
      expect(decodeHeader(link.take().octets)).toMatchObject({ messageId, isResponse: true });
      return;
    }
    expect(holdingsOf(machine)).toEqual({ ikeSas: [], installed: [], reserved: [] });
    link.advanceBy(60_000);
    expectClean(machine);
  });
});

test("attack: reflection: our own IKE_SA_INIT sent back to us makes nothing, from either side", () => {
  const { initiator, responder, link } = pair({ seed: 4 });
  initiator.connect();
  const own = link.take();
  const { path } = own;
  const back = { local: path.remote, remote: path.local };
  initiator.handle({ kind: "datagram", octets: own.octets, path: back });
  expect(initiator.endpoint.counters.unexpected).toBe(1);
  expect(initiator.ikeSas).toHaveLength(1);
  link.arrive(own);
  const answer = link.take();
  responder.handle({
    kind: "datagram",
    octets: answer.octets,
    path: { local: answer.path.remote, remote: answer.path.local },
  });
  expect(responder.ikeSas.map(({ state }) => state)).toEqual(["authenticating"]);
  link.arrive(answer);
  link.deliverAll();
  expectEstablished(initiator, responder);
});

test("CVE-2026-35424 (Windows): ten thousand malformed datagrams leave nothing behind, neither here nor in the queue", () => {
  const { responder: machine, link } = pair({ seed: 5 });
  const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 5001 });
  const whole = peer.init();
  for (let i = 0; i < 10_000; i++) {
    const octets = whole.slice(0, 29 + (i % (whole.length - 29)));
    peer.send(machine, octets);
  }
  expect(machine.endpoint.counters.malformed).toBe(10_000);
  expect(link.inFlight).toHaveLength(0);
  // Not a line for each: those within one moment are bounded.
  expect(machine.events.length).toBeLessThanOrEqual(10);
  expectClean(machine);
});

function expectMet(attack: Attack, machine: SimulatedMachine, answer: () => readonly Payload[]): void {
  const { counters } = machine.endpoint;
  expect(counters.internalErrors).toBe(0);
  if (typeof attack.meets === "string") expect(counters[attack.meets]).toBeGreaterThan(0);
  else expect(findNotify(answer(), attack.meets), `notification ${attack.meets}`).toBeDefined();
}
