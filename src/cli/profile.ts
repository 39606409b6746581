import { X509Certificate } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PlatformError, PolicyError } from "../errors/index.ts";
import { formatCard, formatShortCard } from "../profile/card.ts";
import { type ClientFacts, checkFacts, parseDomain } from "../profile/client-facts.ts";
import type { ClientKind } from "../profile/client-kind.ts";
import { makeProfile } from "../profile/make-profile.ts";
import { formatQrCode } from "../profile/qr-code.ts";
import { ExitCode } from "./exit-code.ts";
import { askSecret, passwordFromInput } from "./prompt.ts";
import type { Terminal } from "./terminal.ts";

export interface ProfileFlags {
  readonly for?: ClientKind;
  readonly domain: string;
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
  const password = await passwordOf(user, flags);
  return {
    domain: parseDomain(flags.domain),
    user,
    ...(password !== undefined && { password }),
    ...(flags.ca !== undefined && { authority: readAuthority(flags.ca) }),
    networks: [],
    hasIpv6: true,
    onDemand: flags.onDemand === true,
  };
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
