import { type ClientFacts, fileNameOf, type Profile } from "./client-facts.ts";
import { stableUuid } from "./stable-uuid.ts";

/** Whose password it is: the user's own keyring keeps it, or this file does. */
const ASKED_FOR = 1;
const IN_THIS_FILE = 0;

/** A keyfile for /etc/NetworkManager/system-connections, read by NetworkManager with its strongSwan plugin. */
export function networkManagerProfile(facts: ClientFacts): Profile {
  const { domain, user, password, authority, networks, hasIpv6 } = facts;
  const goesAround = networks.length === 0 ? {} : { "never-default": "true" };
  const content = [
    `# ${domain}: belongs to root, mode 0600, in /etc/NetworkManager/system-connections; then: nmcli connection reload`,
    ...(authority === undefined ? [] : [`# The CA's certificate belongs at ${authorityPath(facts)}`]),
    section("connection", {
      id: domain,
      uuid: stableUuid(domain, user, "networkmanager"),
      type: "vpn",
      autoconnect: "false",
    }),
    section("vpn", {
      "service-type": "org.freedesktop.NetworkManager.strongswan",
      address: domain,
      "remote-identity": domain,
      ...(authority !== undefined && { certificate: authorityPath(facts) }),
      method: "eap",
      user,
      "password-flags": String(password === undefined ? ASKED_FOR : IN_THIS_FILE),
      virtual: "yes",
      encap: "no",
      ipcomp: "no",
    }),
    ...(password === undefined ? [] : [section("vpn-secrets", { password })]),
    section("ipv4", { method: "auto", ...goesAround }),
    section("ipv6", { method: hasIpv6 ? "auto" : "ignore", ...(hasIpv6 && goesAround) }),
  ].join("\n");
  return { fileName: fileNameOf(facts, "nmconnection"), content };
}

function authorityPath({ domain }: ClientFacts): string {
  return `/etc/NetworkManager/certificates/${domain}.pem`;
}

function section(name: string, entries: Readonly<Record<string, string>>): string {
  const lines = Object.entries(entries).map(([key, value]) => `${key}=${escapeValue(value)}\n`);
  return `[${name}]\n${lines.join("")}`;
}

/** As GKeyFile reads it: a backslash begins an escape, spaces in front are lost. */
function escapeValue(text: string): string {
  return text.replaceAll("\\", "\\\\").replace(/^ +/, (spaces) => "\\s".repeat(spaces.length));
}
