import { equal } from "../../bytes/constant-time.ts";
import { wipe } from "../../bytes/wipe.ts";
import { EapType } from "../../iana/eap.ts";
import type { ClientMethod, ClientMethodRun, MethodResult, MethodStep } from "../method.ts";
import { authenticatorResponse, CHALLENGE_LENGTH, ntResponse } from "./formulas.ts";
import { mschapv2Msk } from "./keys.ts";
import {
  decodeChallenge,
  decodeFailure,
  decodeSuccess,
  encodeResponse,
  type Failure,
  MschapError,
  OpCode,
} from "./packets.ts";

export interface Mschapv2ClientSettings {
  /** As the user types it, with a domain in front ("DOMAIN\anna") if there is one. */
  readonly user: string;
  /** 16 octets; a run works on a copy. */
  readonly ntHash: Uint8Array;
  readonly random: { bytes(length: number): Uint8Array };
}

/**
 * EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2, RFC 2759), the peer's side. The server has to show that it knows the password as
 * well before it gets a success from us.
 */
export function mschapv2Client(settings: Mschapv2ClientSettings): ClientMethod {
  return { type: EapType.MS_EAP_AUTHENTICATION, begin: () => new Mschapv2ClientRun(settings) };
}

type State =
  | { readonly at: "start" }
  /** `expected` is the authenticator response of a server that knows the password. */
  | { readonly at: "answered"; readonly expected: Uint8Array; readonly msk: Uint8Array }
  | { readonly at: "verified"; readonly msk: Uint8Array }
  | { readonly at: "refused"; readonly reason: string };

class Mschapv2ClientRun implements ClientMethodRun {
  readonly #settings: Mschapv2ClientSettings;
  readonly #ntHash: Uint8Array;
  #state: State = { at: "start" };

  constructor(settings: Mschapv2ClientSettings) {
    this.#settings = settings;
    this.#ntHash = settings.ntHash.slice();
  }

  get result(): MethodResult | undefined {
    if (this.#state.at !== "verified") return undefined;
    return { kind: "success", msk: this.#state.msk, identity: this.#settings.user };
  }

  get refusal(): string | undefined {
    return this.#state.at === "refused" ? this.#state.reason : undefined;
  }

  receive(data: Uint8Array): MethodStep {
    const opCode = data[0];
    if (opCode === OpCode.CHALLENGE && this.#state.at === "start") return this.#challengeCame(data);
    if (opCode === OpCode.SUCCESS && this.#state.at === "answered")
      return this.#successCame(this.#state, data);
    if (opCode === OpCode.FAILURE && this.#state.at === "answered") return this.#failureCame(data);
    return failed(`OpCode ${opCode} out of turn`);
  }

  dispose(): void {
    wipe(this.#ntHash);
    if (this.#state.at === "answered" || this.#state.at === "verified") wipe(this.#state.msk);
    this.#state = { at: "start" };
  }

  #challengeCame(data: Uint8Array): MethodStep {
    const challenge = decodeChallenge(data);
    if (challenge === undefined) return failed(`a Challenge of ${data.length} octets that is none`);
    const peerChallenge = this.#settings.random.bytes(CHALLENGE_LENGTH);
    const name = new TextEncoder().encode(this.#settings.user);
    const exchange = { authenticatorChallenge: challenge.challenge, peerChallenge, name };
    const keys = { ntHash: this.#ntHash, ntResponse: ntResponse(exchange, this.#ntHash) };
    const expected = authenticatorResponse(exchange, keys);
    this.#state = { at: "answered", expected, msk: mschapv2Msk(keys) };
    const { id } = challenge;
    return { kind: "send", data: encodeResponse({ id, peerChallenge, ntResponse: keys.ntResponse, name }) };
  }

  #successCame({ expected, msk }: State & { at: "answered" }, data: Uint8Array): MethodStep {
    const shown = decodeSuccess(data);
    if (shown === undefined) return failed(`a success of ${data.length} octets that is none`);
    // RFC 2759 section 5: a server that cannot show it knows the password is not the one we mean.
    if (!equal(shown, expected)) return failed("the server does not know the password");
    this.#state = { at: "verified", msk };
    return { kind: "send", data: Uint8Array.of(OpCode.SUCCESS) };
  }

  /** The same password would fail again: whether the server allows another try or not, we acknowledge, and EAP-Failure follows. */
  #failureCame(data: Uint8Array): MethodStep {
    const failure = decodeFailure(data);
    if (failure === undefined) return failed(`a failure of ${data.length} octets that is none`);
    this.dispose();
    this.#state = { at: "refused", reason: meaningOf(failure) };
    return { kind: "send", data: Uint8Array.of(OpCode.FAILURE) };
  }
}

const MEANINGS: ReadonlyMap<number, string> = new Map<number, string>([
  [MschapError.ERROR_RESTRICTED_LOGON_HOURS, "this account may not log in at this hour"],
  [MschapError.ERROR_ACCT_DISABLED, "this account is disabled"],
  [MschapError.ERROR_PASSWD_EXPIRED, "the password has expired"],
  [MschapError.ERROR_NO_DIALIN_PERMISSION, "this account may not connect from outside"],
  [MschapError.ERROR_AUTHENTICATION_FAILURE, "wrong user name or password"],
  [MschapError.ERROR_CHANGING_PASSWORD, "the password could not be changed"],
]);

function meaningOf({ error, message }: Failure): string {
  const meaning = MEANINGS.get(error) ?? "the server refused the login";
  return `${meaning} (E=${error}${message === "" ? "" : `, ${JSON.stringify(message)}`})`;
}

function failed(reason: string): MethodStep {
  return { kind: "failure", reason };
}
