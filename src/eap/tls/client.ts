import { wipe } from "../../bytes/wipe.ts";
import { EapType } from "../../iana/eap.ts";
import type { ClientMethod, ClientMethodRun, MethodResult, MethodStep } from "../method.ts";
import { EMPTY_DATA, IncomingMessage, isAcknowledgement, isStart, OutgoingMessage } from "./fragments.ts";
import { TlsEndpoint, type TlsSettings } from "./tls-endpoint.ts";
import type { JudgePeer } from "./verdict.ts";

export interface EapTlsClientSettings extends TlsSettings {
  /** Whom the result names: ourselves. */
  readonly identity: string;
  readonly judge: JudgePeer;
}

/** EAP-TLS (RFC 5216; RFC 9190 for TLS 1.3), the peer's side. Throws when the credential is none. */
export function eapTlsClient(settings: EapTlsClientSettings): ClientMethod {
  new TlsEndpoint(settings, "client").close();
  return { type: EapType.EAP_TLS, begin: () => new EapTlsClientRun(settings) };
}

class EapTlsClientRun implements ClientMethodRun {
  readonly #settings: EapTlsClientSettings;
  readonly #tls: TlsEndpoint;
  readonly #incoming = new IncomingMessage();
  #outgoing: OutgoingMessage | undefined;
  #hasStarted = false;
  #isServerTrusted = false;
  #result: (MethodResult & { readonly msk: Uint8Array }) | undefined;
  #refusal: string | undefined;

  constructor(settings: EapTlsClientSettings) {
    this.#settings = settings;
    this.#tls = new TlsEndpoint(settings, "client");
  }

  get result(): MethodResult | undefined {
    return this.#result;
  }

  get refusal(): string | undefined {
    return this.#refusal;
  }

  async receive(data: Uint8Array): Promise<MethodStep> {
    if (!this.#hasStarted) {
      if (!isStart(data)) return failed("EAP-TLS that does not begin with a Start");
      this.#hasStarted = true;
      return this.#say(await this.#tls.exchange(new Uint8Array(0)));
    }
    if (this.#outgoing !== undefined && !this.#outgoing.isSent) {
      if (!isAcknowledgement(data)) return failed("a fragment was answered by something else");
      return { kind: "send", data: this.#outgoing.next() };
    }
    if (this.#refusal !== undefined || this.#result !== undefined)
      return failed("EAP-TLS goes on after its end");
    const step = this.#incoming.receive(data);
    if (step.kind === "failure") return step;
    if (step.kind === "acknowledge") return { kind: "send", data: EMPTY_DATA };
    return this.#messageCame(step.message);
  }

  dispose(): void {
    wipe(this.#result?.msk);
    this.#result = undefined;
    this.#incoming.clear();
    this.#tls.close();
  }

  async #messageCame(message: Uint8Array): Promise<MethodStep> {
    const output = await this.#tls.exchange(message);
    const fault = this.#tls.fault;
    if (fault !== undefined) {
      this.#refusal = fault;
      return output.length > 0 ? this.#say(output) : failed(fault);
    }
    const distrust = await this.#distrust();
    if (distrust !== undefined) return failed(distrust);
    if (this.#tls.isEstablished && this.#isServerTrusted && this.#isSuccessShown()) {
      const { identity } = this.#settings;
      this.#result = { kind: "success", msk: this.#tls.exportMsk(), identity };
    }
    return output.length > 0 ? this.#say(output) : { kind: "send", data: EMPTY_DATA };
  }

  /** The server's certificate is judged as soon as it is there: before our own goes out. */
  async #distrust(): Promise<string | undefined> {
    if (this.#isServerTrusted) return undefined;
    const chain = this.#tls.peerChain;
    if (chain.length === 0) return this.#tls.isEstablished ? "the server showed no certificate" : undefined;
    const verdict = await this.#settings.judge(chain);
    if (verdict.kind === "refused") return verdict.reason;
    this.#isServerTrusted = true;
    return undefined;
  }

  /** TLS 1.2 ends with the server's Finished; RFC 9190 section 2.5: in 1.3 the server's octet of zero comes behind ours. */
  #isSuccessShown(): boolean {
    if (!this.#tls.isTls13) return true;
    const data = this.#tls.takeData();
    return data.length === 1 && data[0] === 0;
  }

  #say(message: Uint8Array): MethodStep {
    this.#outgoing = new OutgoingMessage(message);
    return { kind: "send", data: this.#outgoing.next() };
  }
}

function failed(reason: string): MethodStep & { readonly kind: "failure" } {
  return { kind: "failure", reason };
}
