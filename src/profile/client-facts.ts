import { PolicyError } from "../errors/index.ts";

/** What a client needs to know to reach a gateway. Every profile is made from this alone. */
export interface ClientFacts {
  /** DNS name of the gateway, or its IP address: what users type, and what its certificate has to say. */
  readonly domain: string;
  readonly user: string;
  /** Undefined leaves the profile without one: the client asks. */
  readonly password?: string;
  /** Certificate of a CA that no system knows, DER; undefined where the gateway's certificate is publicly trusted. */
  readonly authority?: Uint8Array;
  /** Common name of the public CA above the gateway's chain, where it is known. */
  readonly publicRoot?: string;
  /** Prefixes that go through the tunnel; none means everything does. */
  readonly networks: readonly string[];
  /** Whether the gateway hands out IPv6 addresses. */
  readonly hasIpv6: boolean;
  /** The client connects by itself whenever it has a network, where its system can do that. */
  readonly onDemand: boolean;
}

/** A file for one kind of client. */
export interface Profile {
  readonly fileName: string;
  readonly content: string;
}

/** XML cannot hold them, and nobody can type them. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\uFFFE\uFFFF]/u;

/** Throws PolicyError where a text could not stand in every kind of profile as it is. */
export function checkFacts({ user, password }: ClientFacts): void {
  if (user === "") throw new PolicyError("the user's name is empty");
  if (UNPRINTABLE.test(user)) throw new PolicyError("the user's name has characters that cannot be typed");
  if (password !== undefined && UNPRINTABLE.test(password)) {
    throw new PolicyError("the password has characters that cannot be typed");
  }
}

/** "vpn.example.org-anna.sswan": nothing in it that a shell, a browser or a mail program stumbles over. */
export function fileNameOf({ domain, user }: ClientFacts, extension: string): string {
  return `${domain.replaceAll(":", "_")}-${user.replace(/[^A-Za-z0-9._@-]/g, "_").replace(/^\.+/, "_")}.${extension}`;
}
