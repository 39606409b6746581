import { chmodSync, chownSync, existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { PlatformError } from "../errors/index.ts";
import { runProgram } from "../platform/run-program.ts";
import { SERVICE_UNIT, type ServiceFacts, serviceUnit } from "./service-unit.ts";
import { installUnit } from "./units.ts";

const CONFIG_MODE = 0o640;
const READABLE_BY_GROUP = 0o040;
const OF_GROUP = 0o070;
const READABLE_BY_ALL = 0o004;

/**
 * Makes a service of a configuration: the user that it runs as, its files readable for that one, and the unit. Returns the unit's path, and
 * sentences about files that the user cannot read. Throws PlatformError.
 */
export async function installService({
  user,
  folder,
  owned,
  shared = [],
  needed,
  ...facts
}: ServiceFacts & {
  readonly user: string;
  /** Where units are. */
  readonly folder: string;
  /** Files and folders that the daemon shall own: its keys, certificates and users. */
  readonly owned: readonly string[];
  /** Files that its group shall read: those of root alone. */
  readonly shared?: readonly string[];
  /** Files of others that it reads. */
  readonly needed: readonly string[];
}): Promise<{ readonly path: string; readonly warnings: readonly string[] }> {
  const ids = (await idsOf(user)) ?? (await createUser(user));
  try {
    chownSync(facts.config, 0, ids.group);
    chmodSync(facts.config, CONFIG_MODE);
    for (const path of owned.flatMap(withContent)) chownSync(path, ids.user, ids.group);
    for (const path of shared) share(path, ids.group);
  } catch (cause) {
    const { code = "EIO", message } = cause as NodeJS.ErrnoException;
    throw new PlatformError(`cannot give files to the user ${user}: ${message}`, { code, cause });
  }
  installUnit({ folder, ...SERVICE_UNIT }, serviceUnit(facts));
  const files = [facts.node, facts.program, facts.config, ...needed];
  const isRead = await Promise.all(files.map((path) => canRead(ids, path)));
  const unread = files.filter((_, i) => !isRead[i]);
  return {
    path: join(folder, SERVICE_UNIT.name),
    warnings: unread.map((path) => `the user ${user} cannot read ${path}, and the daemon runs as that one`),
  };
}

interface Ids {
  readonly user: number;
  readonly group: number;
}

async function idsOf(user: string): Promise<Ids | undefined> {
  const found = await succeeds("getent", "passwd", user);
  const [, , uid, gid] = found?.split(":") ?? [];
  return uid === undefined ? undefined : { user: Number(uid), group: Number(gid) };
}

async function createUser(user: string): Promise<Ids> {
  const words = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"];
  await runProgram(["useradd", ...words, "--shell", "/usr/sbin/nologin", user]);
  const ids = await idsOf(user);
  if (ids === undefined) throw new PlatformError(`the user ${user} is not there after useradd`);
  return ids;
}

/** What others than root own is theirs to give, and what another group reads stays with that one. */
function share(path: string, group: number): void {
  const { uid, gid, mode } = statSync(path);
  const isOfRoot = uid === 0 && (gid === 0 || gid === group);
  if (!isOfRoot || (mode & READABLE_BY_ALL) !== 0) return;
  // What the group of root may do beside reading is not for this one.
  chmodSync(path, (mode & 0o777 & ~OF_GROUP) | READABLE_BY_GROUP);
  chownSync(path, uid, group);
}

function withContent(path: string): readonly string[] {
  if (!existsSync(path)) return [];
  return statSync(path).isDirectory() ? [path, ...readdirSync(path).map((name) => join(path, name))] : [path];
}

/** Asks the kernel, as that user: what counts are all folders above, too. */
async function canRead({ user, group }: Ids, path: string): Promise<boolean> {
  const as = ["--reuid", String(user), "--regid", String(group), "--clear-groups", "--"];
  return (await succeeds("setpriv", ...as, "test", "-r", path)) !== undefined;
}

/** What it says, or undefined. */
async function succeeds(program: string, ...words: readonly string[]): Promise<string | undefined> {
  try {
    return await runProgram([program, ...words]);
  } catch {
    return undefined;
  }
}
