import { X509Certificate } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GatewayConfig } from "../config/gateway.ts";
import { loadGateway } from "../config/load.ts";
import { parseHost } from "../config/values.ts";
import { PlatformError, PolicyError } from "../errors/index.ts";
import { readPem } from "../pki/pem.ts";
import { formatCard, formatShortCard } from "../profile/card.ts";
import { type ClientFacts, checkFacts } from "../profile/client-facts.ts";
import type { ClientKind } from "../profile/client-kind.ts";
import { makeProfile } from "../profile/make-profile.ts";
import { formatQrCode } from "../profile/qr-code.ts";
import { ExitCode } from "./exit-code.ts";
import { askSecret, passwordFromInput } from "./prompt.ts";
import type { Terminal } from "./terminal.ts";

export interface ProfileFlags {
  readonly for?: ClientKind;
  readonly config: string;
  /** Instead of what the configuration says. */
  readonly domain?: string;
  readonly ca?: string;
  readonly qr?: boolean;
  readonly withPassword?: boolean;
  readonly passwordStdin?: boolean;
  readonly onDemand?: boolean;
  readonly output?: string;
}

/** Prints or writes what sets a user's device up: a file for one kind of client, the card for all of them, a QR code. */
export async function runProfile({
  user,
  flags,
  terminal,
}: {
  readonly user: string;
  readonly flags: ProfileFlags;
  readonly terminal: Terminal;
}): Promise<ExitCode> {
  const facts = await factsOf(user, flags);
  checkFacts(facts);
  const profile =
    flags.for === undefined
      ? { fileName: `${facts.domain}.txt`, content: formatCard(facts) }
      : makeProfile(flags.for, facts);
  if (flags.output !== undefined) {
    const path = isFolder(flags.output) ? join(flags.output, profile.fileName) : flags.output;
    writePrivately(path, profile.content);
    terminal.error(`written to ${path}\n`);
  } else if (flags.qr !== true) terminal.out(profile.content);
  if (flags.qr === true)
    terminal.out(formatQrCode(formatShortCard(facts), { colour: terminal.outHasColour }));
  return ExitCode.DONE;
}

async function factsOf(user: string, flags: ProfileFlags): Promise<ClientFacts> {
  const gateway = flags.domain === undefined ? gatewayOf(flags.config) : undefined;
  const domain = gateway?.domain ?? parseHost(flags.domain ?? "");
  const authority = flags.ca === undefined ? gateway && ownAuthority(gateway) : readAuthority(flags.ca);
  const publicRoot = gateway && authority === undefined ? rootOf(gateway) : undefined;
  const password = await passwordOf(user, flags);
  return {
    domain,
    user,
    ...(password !== undefined && { password }),
    ...(authority !== undefined && { authority }),
    ...(publicRoot !== undefined && { publicRoot }),
    networks: gateway === undefined || gateway.subnets.some(isEverything) ? [] : gateway.subnets,
    hasIpv6: gateway === undefined || gateway.pools.some((pool) => pool.includes(":")),
    onDemand: flags.onDemand === true,
  };
}

function gatewayOf(file: string): GatewayConfig {
  const gateway = loadGateway(file);
  if (gateway !== undefined) return gateway;
  throw new PolicyError(`${file} has no gateway; name one with --domain`, { code: "CONFIG" });
}

/** The CA at the end of the gateway's chain, where it has signed itself: no system knows it. */
function ownAuthority({ certificates }: GatewayConfig): Uint8Array | undefined {
  const [first] = certificates;
  const last = first === undefined ? undefined : certificatesIn(first.certificate).at(-1);
  return last?.ca === true && last.checkIssued(last) ? last.raw : undefined;
}

/** The CA above the gateway's chain, by its common name. */
function rootOf({ certificates: [first] }: GatewayConfig): string | undefined {
  const last = first === undefined ? undefined : certificatesIn(first.certificate).at(-1);
  return /^CN=(.*)$/m.exec(last?.issuer ?? "")?.[1];
}

function certificatesIn(path: string): readonly X509Certificate[] {
  try {
    const blocks = readPem(readFileSync(path, "utf8")).filter(({ label }) => label === "CERTIFICATE");
    return blocks.map(({ der }) => new X509Certificate(der));
  } catch (cause) {
    throw new PolicyError(`${path} is no file of certificates: ${(cause as Error).message}`, { cause });
  }
}

function isEverything(network: string): boolean {
  return network.endsWith("/0");
}

/** The gateway knows no password in the clear: who wants it in a profile types it. */
async function passwordOf(
  user: string,
  { withPassword, passwordStdin }: ProfileFlags,
): Promise<string | undefined> {
  if (passwordStdin === true) return passwordFromInput();
  return withPassword === true ? askSecret(`Password of ${user}: `) : undefined;
}

function readAuthority(path: string): Uint8Array {
  try {
    return new X509Certificate(readFileSync(path)).raw;
  } catch (cause) {
    throw new PolicyError(`${path} is not a certificate: ${(cause as Error).message}`, { cause });
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** For the owner alone: it may hold a password, and says who may log in where in any case. */
function writePrivately(path: string, content: string): void {
  try {
    writeFileSync(path, content, { mode: 0o600 });
  } catch (cause) {
    const { code = "EIO", message } = cause as NodeJS.ErrnoException;
    throw new PlatformError(`cannot write ${path}: ${message}`, { code, cause });
  }
}
