import { ntHash } from "../../src/crypto/nt-hash.ts";
import { createEapClient } from "../../src/eap/client.ts";
import type { ClientMethod } from "../../src/eap/method.ts";
import { mschapv2Client } from "../../src/eap/mschapv2/client.ts";
import { type AttemptGuard, type MschapUser, mschapv2Server } from "../../src/eap/mschapv2/server.ts";
import { encodeEapPacket } from "../../src/eap/packet.ts";
import { createEapServer } from "../../src/eap/server.ts";
import type { EapServer, EapSession, EapStep } from "../../src/eap/session.ts";
import { EapCode } from "../../src/iana/eap.ts";

export const ANNA: MschapUser = { name: "anna", ntHash: ntHash("open sesame") };
const DORA: MschapUser = { name: "dora", ntHash: ntHash("closed"), refusal: "disabled" };
const EVE: MschapUser = { name: "eve", ntHash: ntHash("stale"), refusal: "expired" };

/** Octets that differ each time and are the same in each run. */
export function countedRandom(start = 1): { bytes(length: number): Uint8Array } {
  let next = start;
  return { bytes: (length) => Uint8Array.from({ length }, () => next++ & 0xff) };
}

export const OPEN_GUARD: AttemptGuard = { admits: () => true, succeeded: () => undefined };

export function passwordServer(guard = OPEN_GUARD): EapServer {
  const users = [ANNA, DORA, EVE];
  const find = (name: string) => users.find((user) => user.name === name.toLowerCase());
  return createEapServer({
    methods: [mschapv2Server({ users: { find }, guard, name: "gw.example.org", random: countedRandom() })],
    random: countedRandom(),
  });
}

export function passwordMethod(user: string, password: string): ClientMethod {
  return mschapv2Client({ user, ntHash: ntHash(password), random: countedRandom(77) });
}

export function passwordClient(user: string, password: string): EapSession {
  return createEapClient({ identity: user, methods: [passwordMethod(user, password)] }).begin();
}

/** Lets two sides talk until both are through. Every packet that passed is in `packets`. */
export async function converse(server: EapServer, client: EapSession) {
  const { session, first } = server.begin({ address: "192.0.2.7" });
  const packets: Uint8Array[] = [first];
  let forClient = first;
  let serverEnd: EapStep | undefined;
  for (let turn = 0; turn < 500; turn++) {
    const ours = await client.receive(forClient);
    if (ours.kind !== "send") return { client: ours, server: serverEnd, packets };
    packets.push(ours.packet);
    const theirs = await session.receive(ours.packet);
    if (theirs.kind !== "send") serverEnd = theirs;
    if (theirs.kind === "ignore" || theirs.packet === undefined)
      return { client: ours, server: theirs, packets };
    packets.push(theirs.packet);
    forClient = theirs.packet;
  }
  throw new Error("the conversation does not end");
}

export function request(identifier: number, type: number, data: Uint8Array): Uint8Array {
  return encodeEapPacket({ code: EapCode.REQUEST, identifier, type, data });
}

export function response(identifier: number, type: number, data: Uint8Array): Uint8Array {
  return encodeEapPacket({ code: EapCode.RESPONSE, identifier, type, data });
}

export function result(code: typeof EapCode.SUCCESS | typeof EapCode.FAILURE, identifier = 0): Uint8Array {
  return encodeEapPacket({ code, identifier });
}
