import { wipe } from "../../bytes/wipe.ts";
import { EapType } from "../../iana/eap.ts";
import type { MethodResult, MethodStep, ServerMethod, ServerMethodRun } from "../method.ts";
import { EMPTY_DATA, IncomingMessage, isAcknowledgement, OutgoingMessage, START_DATA } from "./fragments.ts";
import { TlsEndpoint, type TlsSettings } from "./tls-endpoint.ts";
import type { JudgePeer } from "./verdict.ts";

export interface EapTlsServerSettings extends TlsSettings {
  readonly judge: JudgePeer;
}

/** EAP-TLS (RFC 5216; RFC 9190 for TLS 1.3), the authenticator's side. Throws when the credential is none. */
export function eapTlsServer(settings: EapTlsServerSettings): ServerMethod {
  new TlsEndpoint(settings, "server").close();
  return { type: EapType.EAP_TLS, begin: () => new EapTlsServerRun(settings) };
}

/** The peer's last word decides: it may still refuse us. */
type Ending =
  | { readonly kind: "success"; readonly msk: Uint8Array; readonly identity: string }
  | { readonly kind: "failure"; readonly reason: string };

class EapTlsServerRun implements ServerMethodRun {
  readonly #tls: TlsEndpoint;
  readonly #judge: JudgePeer;
  readonly #incoming = new IncomingMessage();
  #outgoing: OutgoingMessage | undefined;
  #ending: Ending | undefined;

  constructor(settings: EapTlsServerSettings) {
    this.#tls = new TlsEndpoint(settings, "server");
    this.#judge = settings.judge;
  }

  open(): Uint8Array {
    return START_DATA;
  }

  async receive(data: Uint8Array): Promise<MethodStep | MethodResult> {
    if (this.#outgoing !== undefined && !this.#outgoing.isSent) {
      if (!isAcknowledgement(data)) return failed("a fragment was answered by something else");
      return { kind: "send", data: this.#outgoing.next() };
    }
    if (this.#ending?.kind === "failure") return this.#ending;
    if (this.#ending?.kind === "success" && isAcknowledgement(data)) {
      return { ...this.#ending, msk: this.#ending.msk.slice() };
    }
    const step = this.#incoming.receive(data);
    if (step.kind === "failure") return step;
    if (step.kind === "acknowledge") return { kind: "send", data: EMPTY_DATA };
    return this.#messageCame(step.message);
  }

  dispose(): void {
    if (this.#ending?.kind === "success") wipe(this.#ending.msk);
    this.#incoming.clear();
    this.#tls.close();
  }

  async #messageCame(message: Uint8Array): Promise<MethodStep> {
    const output = await this.#tls.exchange(message);
    const fault = this.#tls.fault;
    if (fault !== undefined || this.#ending !== undefined) {
      // RFC 5216 section 2.1.3: an alert goes out, and the peer's answer to it is the end.
      this.#ending = { kind: "failure", reason: fault ?? "the peer did not take our success" };
      return output.length > 0 ? this.#say(output) : this.#ending;
    }
    if (!this.#tls.isEstablished) {
      return output.length > 0 ? this.#say(output) : failed("TLS has no answer to what the peer sent");
    }
    return this.#established(output);
  }

  async #established(output: Uint8Array): Promise<MethodStep> {
    const chain = this.#tls.peerChain;
    const verdict = chain.length > 0 ? await this.#judge(chain) : NO_CERTIFICATE;
    // Before our Finished in TLS 1.2, before the sign of success in 1.3: nothing tells the peer that it is in.
    if (verdict.kind === "refused") return failed(verdict.reason);
    this.#ending = { kind: "success", msk: this.#tls.exportMsk(), identity: verdict.identity };
    if (!this.#tls.isTls13) return this.#say(output);
    // RFC 9190 section 2.5: one octet of zero says that the handshake is all there is.
    const sign = await this.#tls.send(Uint8Array.of(0));
    return this.#say(Buffer.concat([output, sign]));
  }

  #say(message: Uint8Array): MethodStep {
    this.#outgoing = new OutgoingMessage(message);
    return { kind: "send", data: this.#outgoing.next() };
  }
}

const NO_CERTIFICATE = { kind: "refused", reason: "the peer showed no certificate" } as const;

function failed(reason: string): MethodStep & { readonly kind: "failure" } {
  return { kind: "failure", reason };
}
