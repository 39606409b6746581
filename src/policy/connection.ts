import type { KeyObject } from "node:crypto";
import type { EapClient, EapServer } from "../eap/session.ts";
import type { Credential } from "../pki/credential.ts";
import type { KeyType } from "../pki/public-keys.ts";
import type { TrustPolicy } from "../pki/trust.ts";
import type { Proposal } from "../wire/payloads/proposal.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import type { InternalConfiguration } from "./internal-configuration/configuration.ts";

/** What the configuration allows for one peer: a row of the Peer Authorization Database (RFC 4301 section 4.4.3) and its SPD entries. */
export interface ConnectionPolicy {
  readonly name: string;
  /** "start": we initiate as soon as we run, and again when the SA is lost. "trap": the first packet that wants it makes us initiate. "respond": we wait. */
  readonly start: "start" | "trap" | "respond";
  readonly local: {
    /** Our address, or undefined for whichever the route to the peer gives. */
    readonly address: string | undefined;
    readonly identity: Identity;
    /** How we show who we are. */
    readonly authentication: LocalAuthentication;
  };
  readonly remote: {
    /** The peer's address, or undefined to accept any. */
    readonly address: string | undefined;
    readonly port: number;
    /** Undefined for anybody who can show who they are. */
    readonly identity: Identity | undefined;
    /** How the peer may show who it is: any of these will do. */
    readonly authentication: readonly RemoteAuthentication[];
  };
  /** In order of preference; each may hold several transforms of a type, also in order of preference. */
  readonly ikeProposals: readonly Proposal[];
  readonly children: readonly ChildPolicy[];
  /**
   * "auto" (the default): ESP in UDP with a peer that does NAT traversal, which we always call for, and raw ESP with one that does not.
   * "udp": no other. "raw": we do no NAT traversal.
   */
  readonly encapsulation?: "auto" | "udp" | "raw";
  /**
   * IKE and ESP in TCP (RFC 9329) when we call. "auto": where UDP is not answered. "always": without UDP. Undefined: never. `port`: the
   * peer's.
   */
  readonly tcp?: { readonly mode: "auto" | "always"; readonly port: number };
  /** "probe" (the default): which packets the path carries is found out by probing. "kernel": only what the kernel hears from routers counts. */
  readonly pathMtu?: "probe" | "kernel";
  /** MOBIKE (RFC 4555), where the peer does it too: we and the peer may change addresses. Undefined is true. */
  readonly isMobile?: boolean;
  /** How soon a silent peer is asked for life, and what becomes of the connection when it gives none. */
  readonly liveness?: LivenessPolicy;
  /** The IKE SA first, with no child SA in IKE_AUTH, where the peer can do that (RFC 6023). */
  readonly isChildless?: boolean;
  /** Gateway: whoever comes gets addresses within, and these with them (RFC 7296 section 2.19). */
  readonly gives?: Omit<InternalConfiguration, "addresses">;
  /**
   * Gateway: what Windows has to reach beside the children's `local`, so that it can ask by DHCPINFORM which networks lie behind us, and hear
   * the answer. Undefined where they are everything.
   */
  readonly asksRoutesAt?: readonly TrafficSelector[];
  /** Client: the families of the addresses that we want to have behind the peer. They take the place of the children's `local`. */
  readonly asks?: { readonly ipv4: boolean; readonly ipv6: boolean };
  /**
   * What is allowed beyond today's rules for the sake of old peers. "windows-default": MODP-1024 and ESP with HMAC-SHA1-96, behind everything
   * else, and signatures of the peer with SHA-1 (policy/compat.ts).
   */
  readonly compat?: readonly "windows-default"[];
  /** Goes into the keys of the IKE SA (RFC 8784). */
  readonly ppk?: Ppk;
  /** Whether a session may be resumed by a ticket (RFC 5723). Undefined is true. */
  readonly resumes?: boolean;
  /** How long what was shown in IKE_AUTH holds, in milliseconds: then whoever has called does it again, in a new IKE SA. Undefined is for ever. */
  readonly reauthMs?: number;
  /** Soft lifetime of an IKE SA, in milliseconds; undefined for the usual one, Infinity for none. */
  readonly ikeRekeyMs?: number;
  /** Client: whether we go where a gateway sends us (RFC 5685). Undefined is true. */
  readonly followsRedirects?: boolean;
  /** Gateway: where clients go that can be sent elsewhere, by address or name: at the first message ("init"), or when they have shown who they are. */
  readonly redirectTo?: { readonly host: string; readonly when: "init" | "auth" };
  /** Gateway: clients rekey by themselves, and what they do not replace in time ends. Undefined where we rekey, or as the limits say. */
  readonly clientLifetimes?: ClientLifetimes;
}

/** Hard lifetimes of what a client has with us, in milliseconds; Infinity is for ever. */
interface ClientLifetimes {
  readonly childMs: number;
  readonly ikeMs: number;
}

/** Post-quantum preshared key (RFC 8784). */
export interface Ppk {
  /** PPK_ID, which the initiator shows to whoever answers it. */
  readonly id: string;
  readonly key: Uint8Array;
  /** No IKE SA without it; otherwise a peer that has none gets one all the same. */
  readonly isRequired: boolean;
}

/** What our AUTH is made with (RFC 7296 section 2.15). The two sides of a connection need not do the same. */
export type LocalAuthentication = PresharedKey | OwnCertificates | OwnRawKey | EapLogin;

/** What the peer's AUTH is verified with. */
export type RemoteAuthentication = PresharedKey | TrustedCertificates | TrustedRawKeys | EapLogins | EapOnly;

/** Symmetric: both sides have it. */
interface PresharedKey {
  readonly kind: "psk";
  readonly key: Uint8Array;
}

interface OwnCertificates {
  readonly kind: "certificate";
  /** At least one; of several, each with a key of another type, one is chosen that the peer can verify. */
  readonly credentials: readonly Credential[];
}

/** A key without a certificate (RFC 7670). */
interface OwnRawKey {
  readonly kind: "raw-key";
  readonly key: KeyObject;
  readonly keyType: KeyType;
}

interface TrustedCertificates {
  readonly kind: "certificate";
  readonly trust: TrustPolicy;
}

/** The peer has one of these public keys: that is all that says who it is. */
interface TrustedRawKeys {
  readonly kind: "raw-key";
  readonly keys: readonly KeyObject[];
}

/** We initiate, and log in (RFC 7296 section 2.16). */
interface EapLogin {
  readonly kind: "eap";
  readonly client: EapClient;
}

/** Whoever logs in at us. */
interface EapLogins {
  readonly kind: "eap";
  readonly server: EapServer;
  /**
   * For clients that do without our AUTH before the login (RFC 5998): methods that show who we are and bring a key, and no others.
   * Undefined: they get our AUTH all the same.
   */
  readonly mutualServer?: EapServer;
  /** What clients' certificates are judged by, where a method looks at some. */
  readonly trust?: TrustPolicy;
  /** Of those who have a password here. */
  readonly accounts?: Accounts;
  /** Where others decide on logins: octets that are others for others, or with another secret. */
  readonly deciders?: Uint8Array;
}

/** Whether somebody who has logged in once may still come. */
export interface Accounts {
  /** What the last login of somebody who has logged in here by a password rested on; undefined for anybody else. */
  stampOf(user: string): Uint8Array | undefined;
  /** Whether it is still so. Then the user counts as logged in. */
  confirms(user: string, stamp: Uint8Array): boolean;
}

/** The responder need not show who it is but within EAP (RFC 5998): only for methods by which it does, such as EAP-TLS. */
interface EapOnly {
  readonly kind: "eap-only";
}

export interface ChildPolicy {
  readonly name: string;
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
  readonly espProposals: readonly Proposal[];
  readonly replayWindowPackets: number;
  /** Undefined is "out". */
  readonly copyDscp?: CopyDscp;
  /** Whether TCP SYNs are kept from naming larger segments than fit into the tunnel. Undefined is true. */
  readonly clampsMss?: boolean;
  /** Undefined is "set". */
  readonly df?: DontFragment;
  readonly rekey?: ChildLifetime;
  readonly tfc?: TfcPolicy;
  /** "transport": where the peer agrees and the selectors name its address and ours; tunnel mode otherwise, and by default. */
  readonly mode?: "tunnel" | "transport";
}

/** Traffic flow confidentiality: what we send to hide how much we have to say (RFC 4303 sections 2.6 and 2.7). */
export interface TfcPolicy {
  /** Octets that shorter inner packets are padded to, where the peer takes that; 0 for none. */
  readonly padTo: number;
  /** Silence after which a dummy packet is sent, in milliseconds; 0 for never. */
  readonly dummyEveryMs: number;
  /** Octets of a dummy packet, as if it were an inner packet. */
  readonly dummyLength: number;
}

/**
 * The outer header's DF bit (RFC 4301 section 8.1): with "set" packets that are too long are fragmented before they are sealed, or
 * refused; with "copy" those that may be fragmented are so outside, with "clear" all.
 */
export type DontFragment = "set" | "copy" | "clear";

/** Which way DSCP is copied between the inner header and the outer one (RFC 4301 section 5.1.2): "out" is from inner to outer. */
export type CopyDscp = "out" | "in" | "yes" | "no";

export interface LivenessPolicy {
  /** Silence after which the peer is asked, in milliseconds; Infinity never asks. Undefined is the usual. */
  readonly intervalMs?: number;
  /** How long a request of ours may go unanswered before the peer counts as dead, in milliseconds. Undefined is the usual. */
  readonly timeoutMs?: number;
  /** "restart": we connect again, for ever. "trap": the next packet brings it up. "clear": it is down until somebody wants it. Undefined: as `start` says. */
  readonly action?: "restart" | "trap" | "clear";
}

/** Soft lifetime of a child SA: whatever is reached first has it rekeyed. Undefined is the usual, Infinity is never. */
export interface ChildLifetime {
  readonly timeMs?: number;
  /** Inner octets and packets, in one direction. */
  readonly octets?: number;
  readonly packets?: number;
}

/** Identification payload content, RFC 7296 section 3.5. */
export interface Identity {
  /** IdType. */
  readonly type: number;
  readonly data: Uint8Array;
}
