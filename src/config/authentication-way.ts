import type { ConnectionEntry } from "./schema.ts";
import type { ConfigPath } from "./yaml-source.ts";

export interface Reporter {
  complain(below: ConfigPath, message: string): void;
  warn(below: ConfigPath, message: string): void;
}

/** How we show who we are. The last two are a user's login. */
export type Way = "psk" | "certificate" | "raw-key" | "password" | "certificate-login";

/** Which one an entry means; undefined when something was complained about. */
export function wayOf({ local, user, password }: ConnectionEntry, { complain }: Reporter): Way | undefined {
  const { psk, certificate, key, privateKey } = local;
  const hasCertificate = certificate !== undefined || key !== undefined;
  if (hasCertificate && (certificate === undefined || key === undefined)) {
    complain(["local"], "certificate and key go together, and one of them is missing");
    return undefined;
  }
  const isCertificateLogin = user !== undefined && password === undefined && hasCertificate;
  const ways = [
    ...(psk === undefined ? [] : ["psk"]),
    ...(hasCertificate ? ["certificate"] : []),
    ...(privateKey === undefined ? [] : ["privateKey"]),
    ...((user === undefined && password === undefined) || isCertificateLogin ? [] : ["user"]),
  ];
  if (ways.length !== 1) {
    const message =
      ways.length === 0
        ? "say how we show who we are: local.psk, local.certificate and key, local.privateKey, or user and password"
        : `one way to show who we are is enough, and here are ${ways.join(" and ")}`;
    complain(["local"], message);
    return undefined;
  }
  if (isCertificateLogin) return "certificate-login";
  if (psk !== undefined) return "psk";
  if (hasCertificate) return "certificate";
  if (privateKey !== undefined) return "raw-key";
  if (user !== undefined && password !== undefined) return "password";
  complain([], "user and password go together, and one of them is missing");
  return undefined;
}

/** Whether what is said of the peer goes with it. */
export function checkRemote({ eapOnly, remote }: ConnectionEntry, way: Way, reporter: Reporter): boolean {
  const refuse = (below: ConfigPath, message: string): false => {
    reporter.complain(below, message);
    return false;
  };
  const { ca, publicKey, revocation, aaa } = remote;
  const isCertificateLogin = way === "certificate-login";
  if (publicKey !== undefined && (ca !== undefined || revocation !== undefined)) {
    return refuse(
      ["remote", "publicKey"],
      "a peer that is known by its key shows no certificate: leave out ca and revocation",
    );
  }
  if (publicKey !== undefined && isCertificateLogin) {
    return refuse(
      ["remote", "publicKey"],
      "a login with a certificate is with a gateway that has one: name its ca instead",
    );
  }
  if (way === "raw-key" && publicKey === undefined && ca === undefined) {
    return refuse(["remote"], "say how the peer shows who it is: publicKey or ca is missing");
  }
  if (way === "psk" && ca === undefined && revocation !== undefined) {
    return refuse(["remote", "revocation"], "a peer with a pre-shared key has no certificate to ask about");
  }
  // RFC 5998 section 4: to whoever has not shown who it is, EAP-MSCHAPv2 tells enough to guess the password from.
  if (eapOnly === true && !isCertificateLogin) {
    return refuse(["eapOnly"], "it needs a login with a certificate: user, local.certificate and key");
  }
  if (aaa !== undefined && !isCertificateLogin) {
    return refuse(
      ["remote", "aaa"],
      "it is about logins with a certificate: user, local.certificate and key",
    );
  }
  // RFC 5998 section 6: somebody else's certificate within EAP does not show that the peer is who it says.
  if (aaa !== undefined && eapOnly === true) {
    return refuse(["remote", "aaa"], "with eapOnly the login has to show that the gateway is who it says");
  }
  return true;
}
