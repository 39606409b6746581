import type { ClientFacts } from "./client-facts.ts";

/** What to type by hand on each kind of device. */
export function formatCard(facts: ClientFacts): string {
  const { domain, user } = facts;
  const password = facts.password ?? "the one you were given";
  const blocks = [
    `VPN ${domain} for ${user}`,
    ...authorityBlock(facts),
    block("iPhone, iPad: Settings > General > VPN & Device Management > VPN > Add VPN Configuration", [
      ["Type", "IKEv2"],
      ["Description", domain],
      ["Server", domain],
      ["Remote ID", domain],
      ["Local ID", "(empty)"],
      ["User Authentication", "Username"],
      ["Username", user],
      ["Password", password],
    ]),
    block("Mac: System Settings > VPN > Add VPN Configuration > IKEv2", [
      ["Display name", domain],
      ["Server address", domain],
      ["Remote ID", domain],
      ["Local ID", "(empty)"],
      ["User authentication", "Username"],
      ["Username", user],
      ["Password", password],
    ]),
    block("Android 11 and later: Settings > Network & internet > VPN > +", [
      ["Name", domain],
      ["Type", "IKEv2/IPSec MSCHAPv2"],
      ["Server address", domain],
      ["IPSec identifier", user],
      [
        "IPSec CA certificate",
        facts.authority === undefined ? "(leave it as it is)" : "the CA's certificate",
      ],
      ["Username", user],
      ["Password", password],
    ]),
    block("Linux: Settings > Network > VPN > + > IPsec/IKEv2 (strongswan)", [
      ["Address", domain],
      ["Certificate", facts.authority === undefined ? "(none)" : "the CA's certificate"],
      ["Authentication", "EAP (Username/Password)"],
      ["Username", user],
      ["Options", "Request an inner IP address"],
    ]),
    [
      "Windows 10 and 11: run the script that `ikebana profile USER --for windows` makes.",
      "  Set up by hand, Windows offers algorithms that are too weak, and the gateway refuses it (error 13868).",
      "  It asks for the user name and the password when it connects.",
    ].join("\n"),
  ];
  return `${blocks.join("\n\n")}\n`;
}

/** The settings alone, short enough for a QR code: a phone shows them as text to copy from. */
export function formatShortCard({ domain, user, password }: ClientFacts): string {
  return [
    "VPN type: IKEv2",
    `Server: ${domain}`,
    `Remote ID: ${domain}`,
    `Username: ${user}`,
    ...(password === undefined ? [] : [`Password: ${password}`]),
  ].join("\n");
}

function authorityBlock({ authority }: ClientFacts): readonly string[] {
  if (authority === undefined) return [];
  return [
    "Before anything else, each device has to trust the gateway's own CA: the profiles for Apple, Windows and the\n" +
      "strongSwan app bring its certificate along; elsewhere install it by hand.",
  ];
}

function block(title: string, rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([label]) => label.length));
  return [title, ...rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`)].join("\n");
}
