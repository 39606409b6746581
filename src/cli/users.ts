import { existsSync } from "node:fs";
import { loadGateway } from "../config/load.ts";
import { ntHash } from "../crypto/nt-hash.ts";
import { PolicyError } from "../errors/index.ts";
import { printable } from "../log/redact.ts";
import { faultOfName, faultOfPassword, foldName, type User } from "../users/user.ts";
import { changeUsers, loadUsers } from "../users/users-file.ts";
import { ExitCode } from "./exit-code.ts";
import { generatePassword } from "./generated-password.ts";
import { askNewPassword, passwordFromInput } from "./prompt.ts";
import type { Terminal } from "./terminal.ts";

export interface UsersFlags {
  readonly config: string;
  /** Instead of the file that the configuration names. */
  readonly file?: string;
  readonly json?: boolean;
}

export interface PasswordFlags extends UsersFlags {
  readonly generate?: boolean;
  readonly passwordStdin?: boolean;
}

/** `users add` and `users passwd`. A password that is made here is shown, this once. */
export async function runUsersPassword({
  user: name,
  isNew,
  flags,
  terminal,
}: {
  readonly user: string;
  readonly isNew: boolean;
  readonly flags: PasswordFlags;
  readonly terminal: Terminal;
}): Promise<ExitCode> {
  const path = usersPath(flags);
  // Before anybody types a password in vain.
  checkExpectation(name, isNew, path);
  const password = await passwordFor(name, flags);
  const fault = faultOfPassword(password);
  if (fault !== undefined) throw new PolicyError(fault);
  changeUsers(path, (draft) => {
    const known = draft.find(name);
    if (isNew ? known !== undefined : known === undefined) throw unexpected(name, isNew);
    draft.put({ ...(known ?? newUser(name)), ntHash: ntHash(password) });
  });
  const generated = flags.generate === true ? { password } : {};
  if (flags.json === true) terminal.out(`${JSON.stringify({ user: name, ...generated })}\n`);
  else {
    terminal.error(isNew ? `${printable(name)} may log in\n` : `${printable(name)} has a new password\n`);
    // Alone on the output, so that it can be taken from there.
    if (flags.generate === true) terminal.out(`${password}\n`);
  }
  return ExitCode.DONE;
}

/** Somebody whom nothing but a password keeps out. */
export function newUser(name: string): Omit<User, "ntHash"> {
  return { name, isDisabled: false, devices: undefined, expires: undefined };
}

export type UserChange = "del" | "disable" | "enable";

export function runUsersChange({
  user: name,
  change,
  flags,
  terminal,
}: {
  readonly user: string;
  readonly change: UserChange;
  readonly flags: UsersFlags;
  readonly terminal: Terminal;
}): ExitCode {
  changeUsers(usersPath(flags), (draft) => {
    const known = draft.find(name);
    if (known === undefined) throw unexpected(name, false);
    if (change === "del") draft.remove(name);
    else draft.put({ ...known, isDisabled: change === "disable" });
  });
  if (flags.json === true) terminal.out(`${JSON.stringify({ user: name, change })}\n`);
  else terminal.error(`${printable(name)} ${DONE[change]}\n`);
  return ExitCode.DONE;
}

const DONE: Readonly<Record<UserChange, string>> = {
  del: "is removed",
  disable: "may not log in any more",
  enable: "may log in again",
};

export function runUsersList({
  flags,
  terminal,
}: {
  readonly flags: UsersFlags;
  readonly terminal: Terminal;
}): ExitCode {
  const { users, warnings } = loadUsers(usersPath(flags));
  for (const warning of warnings) terminal.error(`warning: ${warning}\n`);
  const shown = users.map(({ name, isDisabled, devices, expires }) => ({
    name,
    isDisabled,
    devices,
    expires,
  }));
  if (flags.json === true) {
    terminal.out(`${JSON.stringify({ users: shown }, undefined, 2)}\n`);
    return ExitCode.DONE;
  }
  const width = Math.max(0, ...shown.map(({ name }) => printable(name).length));
  for (const { name, isDisabled, devices, expires } of shown) {
    const remarks = [
      ...(isDisabled ? ["disabled"] : []),
      ...(devices === undefined ? [] : [devices === 1 ? "1 device" : `${devices} devices`]),
      ...(expires === undefined ? [] : [`until ${expires}`]),
    ];
    terminal.out(`${`${printable(name).padEnd(width)}  ${remarks.join(", ")}`.trimEnd()}\n`);
  }
  if (shown.length === 0) terminal.error("nobody may log in yet; ikebana users add NAME\n");
  return ExitCode.DONE;
}

function usersPath({ config, file }: UsersFlags): string {
  if (file !== undefined) return file;
  const gateway = loadGateway(config);
  if (gateway?.usersFile !== undefined) return gateway.usersFile;
  throw new PolicyError(`${config} names no users file: gateway.users is missing`, { code: "CONFIG" });
}

function checkExpectation(name: string, isNew: boolean, path: string): void {
  const fault = faultOfName(name);
  if (fault !== undefined) throw new PolicyError(fault);
  const isKnown = usersIn(path).some((user) => foldName(user.name) === foldName(name));
  if (isKnown === isNew) throw unexpected(name, isNew);
}

/** Where there is no file yet, there is nobody. */
function usersIn(path: string): readonly User[] {
  return existsSync(path) ? loadUsers(path).users : [];
}

function unexpected(name: string, isNew: boolean): PolicyError {
  const shown = JSON.stringify(name);
  return new PolicyError(
    isNew
      ? `there is a user ${shown} already; ikebana users passwd changes the password`
      : `there is no user ${shown}; ikebana users list shows who there is`,
  );
}

async function passwordFor(name: string, flags: PasswordFlags): Promise<string> {
  if (flags.generate === true) return generatePassword();
  return flags.passwordStdin === true ? passwordFromInput() : askNewPassword(printable(name));
}
