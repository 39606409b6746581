import { isIP } from "node:net";
import { resolve } from "node:path";
import { ntHash } from "../crypto/nt-hash.ts";
import { PolicyError } from "../errors/index.ts";
import type { Purpose, TrustPolicy } from "../pki/trust.ts";
import { systemTrustAnchors } from "../pki/trust-anchors.ts";
import type { Identity, LocalAuthentication, Ppk, RemoteAuthentication } from "../policy/connection.ts";
import { faultOfPassword } from "../users/user.ts";
import { checkRemote, type Reporter, type Way, wayOf } from "./authentication-way.ts";
import { CertificateLogin } from "./certificate-login.ts";
import { LiveCertificates } from "./live-certificates.ts";
import { readPassword, readPresharedKey } from "./preshared-key.ts";
import { ownRawKey, trustedRawKeys } from "./raw-keys.ts";
import { revocationIn } from "./revocation.ts";
import type { ConnectionEntry } from "./schema.ts";
import { filesOf, trustAnchorsIn, trustPolicy } from "./trust.ts";
import { UserLogin } from "./user-login.ts";

/** How both sides of a connection show who they are. */
export interface Authentication {
  readonly local: LocalAuthentication;
  readonly remote: readonly RemoteAuthentication[];
}

interface Place {
  readonly folder: string;
  /** Whom we want to talk to, where that is known. */
  readonly peer: Identity | undefined;
  readonly reporter: Reporter;
}

/**
 * We show a key that both sides have, a certificate, a public key that the peer knows, or a user's login with a password or a certificate;
 * the peer shows the same key, a certificate (whoever logs in wants to know where), or a public key that we know. Reads the files.
 * Undefined when something was complained about.
 */
export function authenticationOf(entry: ConnectionEntry, place: Place): Authentication | undefined {
  const { reporter, folder } = place;
  const way = wayOf(entry, reporter);
  if (way === undefined || !checkRemote(entry, way, reporter)) return undefined;
  const { ca, publicKey } = entry.remote;
  if (publicKey !== undefined) {
    const local = localAuthentication(entry, way, { ...place, trust: undefined });
    const remote = attempt(reporter, ["remote", "publicKey"], () => trustedRawKeys(publicKey, folder));
    return local && remote && { local, remote: [remote] };
  }
  if (way === "psk" && ca === undefined) {
    const local = localAuthentication(entry, way, { ...place, trust: undefined });
    return local?.kind === "psk" ? { local, remote: [local] } : undefined;
  }
  const purpose: Purpose = way === "password" || way === "certificate-login" ? "server" : "peer";
  const trust = attempt(reporter, ["remote", "ca"], () => trustOf(entry, purpose, folder));
  const local = localAuthentication(entry, way, { ...place, trust });
  if (trust === undefined || local === undefined) return undefined;
  const remote: RemoteAuthentication = { kind: "certificate", trust };
  return { local, remote: entry.eapOnly === true ? [{ kind: "eap-only" }, remote] : [remote] };
}

function localAuthentication(
  { local, user, password, remote }: ConnectionEntry,
  way: Way,
  { folder, peer, reporter, trust }: Place & { readonly trust: TrustPolicy | undefined },
): LocalAuthentication | undefined {
  switch (way) {
    case "psk":
      return attempt(reporter, ["local", "psk"], () => {
        const read = readPresharedKey(local.psk!, folder);
        for (const message of read.warnings) reporter.warn(["local", "psk"], message);
        return { kind: "psk", key: read.key };
      });
    case "password":
      return attempt(reporter, ["password"], () => {
        const read = readPassword(password!, folder);
        const fault = faultOfPassword(read.password);
        if (fault !== undefined) throw new PolicyError(fault);
        for (const message of read.warnings) reporter.warn(["password"], message);
        return { kind: "eap", client: new UserLogin({ user: user!, ntHash: ntHash(read.password) }) };
      });
    case "raw-key":
      return attempt(reporter, ["local", "privateKey"], () =>
        ownRawKey({ privateKey: local.privateKey!, passphrase: local.passphrase }, folder),
      );
    case "certificate":
    case "certificate-login":
      return attempt(reporter, ["local", "certificate"], () => {
        const { certificate, key, passphrase } = local;
        const files = filesOf({ certificate: certificate!, key: key!, passphrase }, folder);
        const certificates = new LiveCertificates([files]);
        if (way === "certificate" || trust === undefined) return certificates;
        const server = remote.aaa ?? peer;
        return { kind: "eap", client: new CertificateLogin({ user: user!, certificates, trust, server }) };
      });
  }
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
function trustOf(
  { remote: { ca, revocation } }: ConnectionEntry,
  purpose: Purpose,
  folder: string,
): TrustPolicy {
  const anchors =
    ca === undefined ? systemTrustAnchors() : trustAnchorsIn(ca.map((path) => resolve(folder, path)));
  return trustPolicy({ anchors, purpose, revocation: revocation && revocationIn(folder, revocation) });
}

function attempt<Value>(
  { complain }: Reporter,
  below: readonly string[],
  read: () => Value,
): Value | undefined {
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
