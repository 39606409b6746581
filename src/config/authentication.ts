import { isIP } from "node:net";
import { resolve } from "node:path";
import { ntHash } from "../crypto/nt-hash.ts";
import { PolicyError } from "../errors/index.ts";
import type { Purpose } from "../pki/trust.ts";
import { systemTrustAnchors } from "../pki/trust-anchors.ts";
import type { LocalAuthentication, Ppk, RemoteAuthentication } from "../policy/connection.ts";
import { faultOfPassword } from "../users/user.ts";
import { LiveCertificates } from "./live-certificates.ts";
import { readPassword, readPresharedKey } from "./preshared-key.ts";
import { revocationIn } from "./revocation.ts";
import type { ConnectionEntry } from "./schema.ts";
import { filesOf, trustAnchorsIn, trustPolicy } from "./trust.ts";
import { UserLogin } from "./user-login.ts";
import type { ConfigPath } from "./yaml-source.ts";

/** How both sides of a connection show who they are. */
export interface Authentication {
  readonly local: LocalAuthentication;
  readonly remote: readonly RemoteAuthentication[];
}

export interface Reporter {
  complain(below: ConfigPath, message: string): void;
  warn(below: ConfigPath, message: string): void;
}

/**
 * We show a key that both sides have, a certificate, or a user's name and password; the peer shows the same key, or a certificate
 * (whoever logs in with a password wants to know where). Reads the files. Undefined when something was complained about.
 */
export function authenticationOf(
  entry: ConnectionEntry,
  folder: string,
  reporter: Reporter,
): Authentication | undefined {
  const local = localAuthentication(entry, folder, reporter);
  if (local === undefined) return undefined;
  const { ca, revocation } = entry.remote;
  if (local.kind === "psk" && ca === undefined) {
    if (revocation === undefined) return { local, remote: [local] };
    reporter.complain(
      ["remote", "revocation"],
      "a peer with a pre-shared key has no certificate to ask about",
    );
    return undefined;
  }
  const purpose: Purpose = local.kind === "eap" ? "server" : "peer";
  const remote = attempt(reporter, ["remote", "ca"], () => certificateOf(entry, purpose, folder));
  return remote && { local, remote: [remote] };
}

function localAuthentication(
  { local, user, password }: ConnectionEntry,
  folder: string,
  reporter: Reporter,
): LocalAuthentication | undefined {
  const { psk, certificate, key, passphrase } = local;
  const ways = [
    ...(psk === undefined ? [] : ["psk"]),
    ...(certificate === undefined && key === undefined ? [] : ["certificate"]),
    ...(user === undefined && password === undefined ? [] : ["user"]),
  ];
  if (ways.length !== 1) {
    const message =
      ways.length === 0
        ? "say how we show who we are: local.psk, local.certificate and key, or user and password"
        : `one way to show who we are is enough, and here are ${ways.join(" and ")}`;
    reporter.complain(["local"], message);
    return undefined;
  }
  if (psk !== undefined) {
    return attempt(reporter, ["local", "psk"], () => {
      const read = readPresharedKey(psk, folder);
      for (const message of read.warnings) reporter.warn(["local", "psk"], message);
      return { kind: "psk", key: read.key };
    });
  }
  if (ways.includes("certificate")) {
    if (certificate === undefined || key === undefined) {
      reporter.complain(["local"], "certificate and key go together, and one of them is missing");
      return undefined;
    }
    const files = [filesOf({ certificate, key, passphrase }, folder)];
    return attempt(reporter, ["local", "certificate"], () => new LiveCertificates(files));
  }
  if (user === undefined || password === undefined) {
    reporter.complain([], "user and password go together, and one of them is missing");
    return undefined;
  }
  return attempt(reporter, ["password"], () => {
    const read = readPassword(password, folder);
    const fault = faultOfPassword(read.password);
    if (fault !== undefined) throw new PolicyError(fault);
    for (const message of read.warnings) reporter.warn(["password"], message);
    return { kind: "eap", client: new UserLogin({ user, ntHash: ntHash(read.password) }) };
  });
}

/** What goes into the keys beside the key exchange. Not into those of a login: EAP has keys of its own. */
export function ppkOf({ ppk, user }: ConnectionEntry, folder: string, reporter: Reporter): Ppk | undefined {
  if (ppk === undefined) return undefined;
  if (user !== undefined) {
    reporter.complain(["ppk"], "a PPK goes with local.psk or local.certificate, not with a user's login");
    return undefined;
  }
  return attempt(reporter, ["ppk", "key"], () => {
    const { key, warnings } = readPresharedKey(ppk.key, folder);
    for (const message of warnings) reporter.warn(["ppk", "key"], message);
    return { id: ppk.id, key, isRequired: ppk.required ?? true };
  });
}

/** By the CAs that were named, or by those that the web trusts. */
function certificateOf(
  { remote: { ca, revocation } }: ConnectionEntry,
  purpose: Purpose,
  folder: string,
): RemoteAuthentication {
  const anchors =
    ca === undefined ? systemTrustAnchors() : trustAnchorsIn(ca.map((path) => resolve(folder, path)));
  return {
    kind: "certificate",
    trust: trustPolicy({ anchors, purpose, revocation: revocation && revocationIn(folder, revocation) }),
  };
}

function attempt<Value>({ complain }: Reporter, below: ConfigPath, read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    complain(below, error.message);
    return undefined;
  }
}

/** Whether it has to be looked up before it can be used. */
export function isHostName(address: string): boolean {
  return isIP(address) === 0;
}
