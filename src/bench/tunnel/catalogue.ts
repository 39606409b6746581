import type { Contender } from "./contender.ts";
import { bare } from "./contenders/bare.ts";
import { ikebana } from "./contenders/ikebana.ts";
import { kernelIpsec } from "./contenders/kernel-ipsec.ts";
import { kernelWireguard } from "./contenders/kernel-wireguard.ts";
import { openvpn } from "./contenders/openvpn.ts";
import { strongswan } from "./contenders/strongswan.ts";
import { wireguardGo, wireguardGoOf } from "./contenders/wireguard-go.ts";

/** What a tunnel in user space is commonly given, and what stock clients propose to an IPsec gateway. */
const SUITES = [
  { proposal: "aes256gcm16", title: "AES-256-GCM", strongswanCipher: "AES_GCM_16-256" },
  { proposal: "chacha20poly1305", title: "ChaCha20-Poly1305", strongswanCipher: "CHACHA20_POLY1305" },
  { proposal: "aes256-sha1", title: "AES-256-CBC, HMAC-SHA1", strongswanCipher: "AES_CBC-256/HMAC_SHA1_96" },
  { proposal: "aes128gcm16", title: "AES-128-GCM", strongswanCipher: "AES_GCM_16-128" },
] as const;

/** Without names: these of the suites, and of the others what has no match among ours. */
const DEFAULT_SUITES: readonly string[] = ["aes256gcm16", "chacha20poly1305"];

/** What contenders need to know of this machine. */
export interface Means {
  /** What starts Ikebana, as words. */
  readonly ikebanaCommand: readonly string[];
  /** A Debian package with another wireguard-go. */
  readonly wireguardPackage?: string;
}

/** Every contender there is. */
export function allContenders({ ikebanaCommand, wireguardPackage }: Means): readonly Contender[] {
  return [
    bare,
    ...[true, false].flatMap((offloads) =>
      SUITES.map(({ proposal, title }) =>
        ikebana({
          proposal,
          title,
          offloads,
          command: ikebanaCommand,
          isDefault: offloads && DEFAULT_SUITES.includes(proposal),
        }),
      ),
    ),
    ikebana({
      ...SUITES[0],
      offloads: true,
      command: ikebanaCommand,
      isDefault: false,
      idleSas: 10_000,
    }),
    ...SUITES.slice(0, 2).map((suite) =>
      ikebana({ ...suite, offloads: true, command: ikebanaCommand, isDefault: false, workers: 2 }),
    ),
    openvpn({ cipher: "AES-256-GCM", title: "AES-256-GCM", isDefault: true }),
    openvpn({ cipher: "CHACHA20-POLY1305", title: "ChaCha20-Poly1305", isDefault: true }),
    openvpn({ cipher: "AES-128-GCM", title: "AES-128-GCM", isDefault: false }),
    openvpn({ cipher: "AES-256-GCM", title: "AES-256-GCM", isDefault: true, dco: true }),
    kernelIpsec({ keyBits: 256, inUdp: true, isDefault: true }),
    kernelIpsec({ keyBits: 256, inUdp: false, isDefault: true }),
    kernelIpsec({ keyBits: 128, inUdp: true, isDefault: false }),
    ...SUITES.map(({ proposal, title, strongswanCipher }) =>
      strongswan({ proposal, title, cipher: strongswanCipher, isDefault: proposal === "aes256gcm16" }),
    ),
    wireguardGo,
    wireguardGoOf(wireguardPackage),
    kernelWireguard,
  ];
}

/** The contenders of these names, in this order; without names the default ones. Throws RangeError for a name that nobody has. */
export function chooseContenders(all: readonly Contender[], names?: readonly string[]): readonly Contender[] {
  if (names === undefined) return all.filter(({ isDefault }) => isDefault);
  return names.map((name) => {
    const found = all.find((each) => each.name === name);
    if (found !== undefined) return found;
    throw new RangeError(`no contender ${name}; there are ${all.map((each) => each.name).join(", ")}`);
  });
}
