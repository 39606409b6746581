import type { KeyObject } from "node:crypto";
import { Duplex } from "node:stream";
import { connect, createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { concat } from "../../bytes/concat.ts";

/** What one side of TLS shows of itself. */
export interface TlsCredential {
  /** DER, the leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly key: KeyObject;
}

export interface TlsSettings {
  /** At least one. Of several, the peer gets one that it can verify; keys of one type are the same to TLS, and the first of them counts. */
  readonly credentials: readonly TlsCredential[];
  /** TLS 1.3 where nothing is said. EAP-TLS with it was in use before RFC 9190 settled how, so that some peers understand only 1.2. */
  readonly highestVersion?: "TLSv1.2" | "TLSv1.3";
}

/** SSL_OP_NO_TICKET: a conversation is never resumed, so that each checks the certificate. */
const NO_TICKET = 0x0000_4000;
/**
 * SSL_OP_LEGACY_SERVER_CONNECT: a server need not speak of RFC 5746. What that protects are renegotiations, and here is one handshake
 * with nothing behind it. strongSwan's TLS 1.2 does not.
 */
const LEGACY_SERVER_CONNECT = 0x0000_0004;
/** RFC 9190 section 2.3. */
const KEY_LABEL_13 = "EXPORTER_EAP_TLS_Key_Material";
const KEY_CONTEXT_13 = Uint8Array.of(13);
/** RFC 5216 section 2.3. */
const KEY_LABEL_12 = "client EAP encryption";
const MSK_LENGTH = 64;
/** MSK and EMSK. In TLS 1.3 the length goes into what is exported, so that it has to be all of it. */
const KEY_MATERIAL_LENGTH = 128;
/** TLS runs in this thread: what it has to say comes within a turn or two of the event loop. */
const SILENT_TURNS = 4;
/** Certificates in a chain, of what the peer has sent. */
const LONGEST_CHAIN = 10;

/**
 * TLS 1.2 and 1.3 without a socket: octets in, octets out. It takes any certificate that its holder can sign with; whether to trust it
 * is the caller's decision, before anything that it said goes out.
 */
export class TlsEndpoint {
  readonly #socket: TLSSocket;
  readonly #wire: Duplex;
  #output: Uint8Array[] = [];
  #application: Uint8Array[] = [];
  #isEstablished = false;
  #fault: string | undefined;

  /** Throws when the credential is none: a certificate that cannot be read, a key that is not its own. */
  constructor(settings: TlsSettings, role: "server" | "client") {
    this.#wire = new Duplex({
      read: () => undefined,
      write: (chunk: Uint8Array, _, done) => {
        this.#output.push(chunk);
        done();
      },
    });
    this.#wire.on("error", () => undefined);
    this.#socket = socketOver(this.#wire, contextOf(settings), role);
    this.#socket.disableRenegotiation();
    this.#socket.on("secure", () => {
      this.#isEstablished = true;
    });
    this.#socket.on("data", (data: Uint8Array) => this.#application.push(data));
    this.#socket.on("error", (cause) => {
      this.#fault ??= faultOf(cause);
    });
  }

  /** The handshake is through, on this side. */
  get isEstablished(): boolean {
    return this.#isEstablished;
  }

  get fault(): string | undefined {
    return this.#fault;
  }

  get isTls13(): boolean {
    return this.#socket.getProtocol() === "TLSv1.3";
  }

  /** Gives it what the peer has sent; what it answers. */
  exchange(input: Uint8Array): Promise<Uint8Array> {
    if (input.length > 0) this.#wire.push(input);
    return this.#settled();
  }

  /** Encrypts data for the peer. */
  send(data: Uint8Array): Promise<Uint8Array> {
    this.#socket.write(data);
    return this.#settled();
  }

  /** Data from the peer, since the last call. */
  takeData(): Uint8Array {
    return concat(...this.#application.splice(0));
  }

  /** DER of the peer's certificates, its own first; none before they have come. */
  get peerChain(): readonly Uint8Array[] {
    const chain: Uint8Array[] = [];
    let next = this.#socket.destroyed ? undefined : this.#socket.getPeerCertificate(true);
    while (next?.raw !== undefined && chain.length < LONGEST_CHAIN) {
      chain.push(new Uint8Array(next.raw));
      // One that issued itself ends the chain.
      next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
    }
    return chain;
  }

  /** 64 octets that both sides have. Only when established. */
  exportMsk(): Uint8Array {
    const exported = this.isTls13
      ? this.#socket.exportKeyingMaterial(KEY_MATERIAL_LENGTH, KEY_LABEL_13, Buffer.from(KEY_CONTEXT_13))
      : // The context is optional, and none is not the same as an empty one.
        (this.#socket.exportKeyingMaterial as (length: number, label: string) => Buffer)(
          KEY_MATERIAL_LENGTH,
          KEY_LABEL_12,
        );
    const msk = new Uint8Array(exported.subarray(0, MSK_LENGTH));
    exported.fill(0);
    return msk;
  }

  close(): void {
    this.#socket.destroy();
    this.#wire.destroy();
    this.#output = [];
    this.#application = [];
  }

  /** Waits until it has said what it has to say. */
  async #settled(): Promise<Uint8Array> {
    for (let silent = 0, said = 0; silent < SILENT_TURNS; silent++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#output.length > said) silent = 0;
      said = this.#output.length;
    }
    return concat(...this.#output.splice(0));
  }
}

function socketOver(wire: Duplex, secureContext: SecureContext, role: "server" | "client"): TLSSocket {
  // The caller checks the certificate; what is left to TLS is whether the peer has its key.
  if (role === "client") {
    return connect({
      socket: wire,
      secureContext,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
  }
  return new TLSSocket(wire, { isServer: true, secureContext, requestCert: true, rejectUnauthorized: false });
}

function contextOf({ credentials, highestVersion = "TLSv1.3" }: TlsSettings): SecureContext {
  const shown = firstOfEachType(credentials);
  return createSecureContext({
    cert: shown.map(({ chain }) => chain.map(pemOf).join("")),
    key: shown.map(({ key }) => key.export({ type: "pkcs8", format: "pem" })),
    minVersion: "TLSv1.2",
    maxVersion: highestVersion,
    secureOptions: NO_TICKET | LEGACY_SERVER_CONNECT,
    sessionTimeout: 1,
  });
}

/** OpenSSL has one place for each type of key, and a second certificate would take the first one's. */
function firstOfEachType(credentials: readonly TlsCredential[]): readonly TlsCredential[] {
  const types = credentials.map(({ key }) => key.asymmetricKeyType);
  return credentials.filter((_, i) => types.indexOf(types[i]) === i);
}

function pemOf(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

/** OpenSSL's reason without places in its source. */
function faultOf(cause: Error & { readonly code?: string; readonly reason?: string }): string {
  return `TLS: ${cause.reason ?? cause.code ?? cause.message}`.slice(0, 120);
}
