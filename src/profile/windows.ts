import { PolicyError } from "../errors/index.ts";
import { type ClientFacts, fileNameOf, type Profile } from "./client-facts.ts";

/** Half of all addresses each: Windows gives a VPN no default route for IPv6 by itself. */
const EVERYTHING_IPV6 = ["::/1", "8000::/1"];
const CERTIFICATE_LINE = 76;
/** Before every script whose text is not ASCII: Windows PowerShell takes any other for the system's old code page. */
const BYTE_ORDER_MARK = "\uFEFF";

/**
 * A PowerShell script that adds the connection with strong algorithms: set up by hand, Windows offers MODP1024 and SHA-1 alone. Windows
 * keeps passwords of its own accord only; with one this throws PolicyError.
 */
export function windowsProfile(facts: ClientFacts): Profile {
  if (facts.password !== undefined) {
    throw new PolicyError(
      "a script cannot give Windows a password to keep; it asks for it when the user connects",
    );
  }
  const lines = [
    ...(facts.authority === undefined ? [] : ["#Requires -RunAsAdministrator"]),
    `# Adds the VPN ${facts.domain} to Windows 10 or 11. Run it again to replace what an earlier one has added.`,
    "$ErrorActionPreference = 'Stop'",
    `$name = ${quote(facts.domain)}`,
    `$server = ${quote(facts.domain)}`,
    `$user = ${quote(facts.user)}`,
    "",
    ...authorityLines(facts),
    ...rootLines(facts),
    "Get-VpnConnection | Where-Object { $_.Name -eq $name } | Remove-VpnConnection -Force",
    `Add-VpnConnection -Name $name -ServerAddress $server -TunnelType Ikev2 -AuthenticationMethod Eap ${join([
      "-EncryptionLevel Maximum",
      "-RememberCredential",
      ...(facts.networks.length === 0 ? [] : ["-SplitTunneling"]),
      "-Force",
    ])}`,
    `Set-VpnConnectionIPsecConfiguration -ConnectionName $name ${join([
      "-EncryptionMethod GCMAES256",
      "-IntegrityCheckMethod SHA256",
      "-DHGroup ECP256",
      "-CipherTransformConstants GCMAES256",
      "-AuthenticationTransformConstants GCMAES256",
      "-PfsGroup ECP256",
      "-Force",
    ])}`,
    ...routesOf(facts).map(
      (prefix) => `Add-VpnConnectionRoute -ConnectionName $name -DestinationPrefix ${quote(prefix)}`,
    ),
    "",
    'Write-Host "Ready. Connect from the network menu and log in as $user."',
    "",
  ];
  const script = lines.join("\r\n");
  const isAscii = /^\p{ASCII}*$/u.test(script);
  return { fileName: fileNameOf(facts, "ps1"), content: isAscii ? script : BYTE_ORDER_MARK + script };
}

function routesOf({ networks, hasIpv6 }: ClientFacts): readonly string[] {
  if (networks.length > 0) return networks;
  return hasIpv6 ? EVERYTHING_IPV6 : [];
}

/** Windows looks for the CA of an IKEv2 gateway in the machine's store, never in the user's. */
function authorityLines({ authority }: ClientFacts): readonly string[] {
  if (authority === undefined) return [];
  const lines = Buffer.from(authority)
    .toString("base64")
    .match(new RegExp(`.{1,${CERTIFICATE_LINE}}`, "g"));
  return [
    "$certificate = [Security.Cryptography.X509Certificates.X509Certificate2]::new([Convert]::FromBase64String(@'",
    ...(lines ?? []),
    "'@))",
    "$store = [Security.Cryptography.X509Certificates.X509Store]::new('Root', 'LocalMachine')",
    "$store.Open('ReadWrite')",
    "$store.Add($certificate)",
    "$store.Close()",
    "",
  ];
}

/** Where the CA shows a certificate below each of its roots. */
const PAGES: Readonly<Record<string, string>> = {
  "ISRG Root X1": "https://valid-isrgrootx1.letsencrypt.org/",
  "ISRG Root X2": "https://valid-isrgrootx2.letsencrypt.org/",
};

/** Windows has few roots from the start and fetches others when a program needs one. Its VPN does not, and fails with error 13801. */
function rootLines({ publicRoot = "" }: ClientFacts): readonly string[] {
  const page = Object.hasOwn(PAGES, publicRoot) ? PAGES[publicRoot] : undefined;
  if (page === undefined) return [];
  return [
    `# So that Windows fetches ${publicRoot}, which it needs to know the gateway by.`,
    `try { Invoke-WebRequest -UseBasicParsing ${quote(page)} | Out-Null }`,
    `catch { Write-Warning ${quote(`Open ${page} once in a browser, if connecting fails with error 13801.`)} }`,
    "",
  ];
}

/** In single quotes nothing is expanded. PowerShell takes typographic ones for the same, so that each of them is doubled too. */
function quote(text: string): string {
  return `'${text.replace(/['\u2018-\u201B]/g, "$&$&")}'`;
}

/** Long commands go on below, behind PowerShell's sign for that. */
function join(flags: readonly string[]): string {
  return flags.map((flag) => `\`\r\n  ${flag}`).join(" ");
}
