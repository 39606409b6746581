import { equal } from "../../bytes/constant-time.ts";
import { wipe } from "../../bytes/wipe.ts";
import { EapType } from "../../iana/eap.ts";
import type { MethodPeer, MethodResult, MethodStep, ServerMethod, ServerMethodRun } from "../method.ts";
import { decodeName, withoutDomain } from "../names.ts";
import { authenticatorResponse, CHALLENGE_LENGTH, type Exchange, ntResponse } from "./formulas.ts";
import { mschapv2Msk } from "./keys.ts";
import {
  decodeResponse,
  encodeChallenge,
  encodeFailure,
  encodeSuccess,
  MschapError,
  OpCode,
} from "./packets.ts";

/** Who may log in, and with what. */
export interface MschapUser {
  /** The name as the gateway writes it, whatever case and domain the peer has put it in. */
  readonly name: string;
  /** 16 octets. */
  readonly ntHash: Uint8Array;
  /** Why this user is refused in spite of the right password. */
  readonly refusal?: "disabled" | "expired" | undefined;
}

interface MschapUsers {
  find(name: string): MschapUser | undefined;
}

/** Holds back guessing: an attempt that is not admitted fails unheard. */
export interface AttemptGuard {
  admits(attempt: { readonly user: string; readonly address: string }): boolean;
  succeeded(attempt: { readonly user: string; readonly address: string }): void;
}

export interface Mschapv2ServerSettings {
  readonly users: MschapUsers;
  readonly guard: AttemptGuard;
  /** How the server calls itself in a Challenge. */
  readonly name: string;
  readonly random: { bytes(length: number): Uint8Array };
}

/** Tries within a conversation. Windows asks its user again after a failure that allows it; others give up. */
const MOST_TRIES = 3;

/** EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2, RFC 2759), the authenticator's side. */
export function mschapv2Server(settings: Mschapv2ServerSettings): ServerMethod {
  // Whom we do not know is asked for a password that nobody has: the same work, and the same answer.
  const nobody = settings.random.bytes(16);
  return {
    type: EapType.MS_EAP_AUTHENTICATION,
    begin: (peer) => new Mschapv2ServerRun(settings, { peer, nobody }),
  };
}

type State =
  | { readonly at: "challenged"; readonly challenge: Uint8Array }
  | { readonly at: "accepted"; readonly msk: Uint8Array; readonly user: string }
  /** A failure without another try was sent: whatever comes, this is the end. */
  | { readonly at: "refused"; readonly reason: string };

class Mschapv2ServerRun implements ServerMethodRun {
  readonly #settings: Mschapv2ServerSettings;
  readonly #peer: MethodPeer;
  readonly #nobody: Uint8Array;
  #state: State;
  #triesLeft = MOST_TRIES;
  /** Why the last try failed. */
  #lastReason: string | undefined;

  constructor(
    settings: Mschapv2ServerSettings,
    { peer, nobody }: { readonly peer: MethodPeer; readonly nobody: Uint8Array },
  ) {
    this.#settings = settings;
    this.#peer = peer;
    this.#nobody = nobody;
    this.#state = { at: "challenged", challenge: settings.random.bytes(CHALLENGE_LENGTH) };
  }

  /** The MS-CHAPv2-ID is that of the EAP packet, as most servers have it. That of a response says nothing which EAP has not checked. */
  open(identifier: number): Uint8Array {
    const { challenge } = this.#state as State & { at: "challenged" };
    return encodeChallenge({ id: identifier, challenge, name: this.#settings.name });
  }

  receive(data: Uint8Array, identifier: number): MethodStep | MethodResult {
    const state = this.#state;
    const opCode = data[0];
    switch (state.at) {
      case "challenged":
        if (opCode === OpCode.RESPONSE) return this.#responseCame(state.challenge, data, identifier);
        if (opCode === OpCode.FAILURE) return failed(this.#lastReason ?? "the peer gave up");
        return this.#outOfTurn(opCode, identifier);
      case "accepted":
        if (opCode !== OpCode.SUCCESS) return failed(`OpCode ${opCode} in answer to a success`);
        return { kind: "success", msk: state.msk.slice(), identity: state.user };
      case "refused":
        if (opCode === OpCode.CHANGE_PASSWORD) return this.#outOfTurn(opCode, identifier);
        return failed(state.reason);
    }
  }

  dispose(): void {
    if (this.#state.at === "accepted") wipe(this.#state.msk);
    if (this.#state.at === "challenged") wipe(this.#state.challenge);
  }

  #responseCame(challenge: Uint8Array, data: Uint8Array, identifier: number): MethodStep {
    const response = decodeResponse(data);
    if (response === undefined) return failed(`a Response of ${data.length} octets that is none`);
    const name = withoutDomain(decodeName(response.name) ?? "");
    const user = this.#settings.users.find(name);
    const attempt = { user: user?.name ?? name, address: this.#peer.address };
    const shown = JSON.stringify(attempt.user);
    if (!this.#settings.guard.admits(attempt)) return failed(`too many attempts for ${shown}`);

    const exchange = {
      authenticatorChallenge: challenge,
      peerChallenge: response.peerChallenge,
      name: response.name,
    };
    const { isRight, success, msk } = check({
      exchange,
      proof: response.ntResponse,
      ntHash: user?.ntHash ?? this.#nobody,
    });
    const claimed = this.#settings.users.find(withoutDomain(this.#peer.identity));
    const fault = faultOf({ user, claimed, isRight });
    if (fault !== undefined) {
      wipe(msk);
      return this.#refuse({ ...fault, reason: `${fault.reason} for ${shown}` }, identifier);
    }
    this.#settings.guard.succeeded(attempt);
    this.#state = { at: "accepted", msk, user: attempt.user };
    return { kind: "send", data: encodeSuccess({ id: identifier, authenticatorResponse: success }) };
  }

  #refuse({ reason, error }: Fault, identifier: number): MethodStep {
    this.#lastReason = reason;
    if (error !== MschapError.ERROR_AUTHENTICATION_FAILURE)
      return this.#endWith({ reason, error }, identifier);
    // Windows does not answer a failure that allows no other try as it should; EAP-Failure says the same.
    if (--this.#triesLeft === 0) return failed(reason);
    const challenge = this.#settings.random.bytes(CHALLENGE_LENGTH);
    this.#state = { at: "challenged", challenge };
    return { kind: "send", data: encodeFailure({ id: identifier, error, mayRetry: true, challenge }) };
  }

  #outOfTurn(opCode: number | undefined, identifier: number): MethodStep {
    if (opCode !== OpCode.CHANGE_PASSWORD) return failed(`OpCode ${opCode} in answer to a challenge`);
    if (this.#lastReason === CHANGE_REFUSED) return failed(CHANGE_REFUSED);
    this.#lastReason = CHANGE_REFUSED;
    const fault = { reason: CHANGE_REFUSED, error: MschapError.ERROR_CHANGING_PASSWORD };
    return this.#endWith(fault, identifier);
  }

  #endWith({ reason, error }: Fault, identifier: number): MethodStep {
    const challenge = this.#settings.random.bytes(CHALLENGE_LENGTH);
    this.#state = { at: "refused", reason };
    return { kind: "send", data: encodeFailure({ id: identifier, error, mayRetry: false, challenge }) };
  }
}

const CHANGE_REFUSED = "passwords are not changed this way";

/** All that depends on the password, done whether it is right or not. */
function check({
  exchange,
  proof,
  ntHash,
}: {
  readonly exchange: Exchange;
  readonly proof: Uint8Array;
  readonly ntHash: Uint8Array;
}): { readonly isRight: boolean; readonly success: Uint8Array; readonly msk: Uint8Array } {
  const expected = ntResponse(exchange, ntHash);
  const keys = { ntHash, ntResponse: expected };
  return {
    isRight: equal(expected, proof),
    success: authenticatorResponse(exchange, keys),
    msk: mschapv2Msk(keys),
  };
}

interface Fault {
  /** For the log. */
  readonly reason: string;
  /** For the peer. */
  readonly error: number;
}

/**
 * What keeps this user out. The identity that was told before must be that of the same user. Only who has shown the right password
 * hears anything else than that name and password do not fit.
 */
function faultOf({
  user,
  claimed,
  isRight,
}: {
  readonly user: MschapUser | undefined;
  readonly claimed: MschapUser | undefined;
  readonly isRight: boolean;
}): Fault | undefined {
  const { ERROR_AUTHENTICATION_FAILURE: error, ERROR_ACCT_DISABLED, ERROR_PASSWD_EXPIRED } = MschapError;
  if (user === undefined) return { reason: "unknown user", error };
  if (!isRight) return { reason: "wrong password", error };
  if (claimed?.name !== user.name) return { reason: "another identity than was told before", error };
  if (user.refusal === "disabled") return { reason: "disabled account", error: ERROR_ACCT_DISABLED };
  if (user.refusal === "expired") return { reason: "expired password", error: ERROR_PASSWD_EXPIRED };
  return undefined;
}

function failed(reason: string): MethodStep {
  return { kind: "failure", reason };
}
