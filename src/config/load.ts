import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import * as v from "valibot";
import { PlatformError, PolicyError } from "../errors/index.ts";
import type { Config } from "./config.ts";
import { completeConnections, type Remark } from "./connections.ts";
import {
  DEFAULT_MTU,
  DEFAULT_SOCKET,
  DEFAULT_STATE_DIRECTORY,
  DEFAULT_TUN_NAME,
  IKE_PORT,
  NAT_TRAVERSAL_PORT,
} from "./defaults.ts";
import { completeGateway, type GatewayConfig } from "./gateway.ts";
import { gatewayPolicy } from "./gateway-policy.ts";
import type { PresharedKeyEntry } from "./preshared-key.ts";
import { ConfigError, formatProblem, type Problem } from "./problem.ts";
import { type ConfigFile, fileSchema } from "./schema.ts";
import { type ConfigPath, YamlSource } from "./yaml-source.ts";

const LARGEST_FILE = 4 * 2 ** 20;
/** Nobody mends more at a time. */
const MOST_PROBLEMS = 50;
const READABLE_BY_OTHERS = 0o004;

/**
 * Reads a configuration file. Throws ConfigError with every problem in it; PolicyError (code CONFIG) when there is no such file or it
 * is not text; PlatformError EACCES when we may not read it.
 */
export function loadConfig(path: string): Config {
  const file = resolve(path);
  const { text, isReadableByOthers } = readText(file);
  return parseConfig({ text, file, isReadableByOthers });
}

export interface ConfigText {
  readonly text: string;
  /** Absolute path that the text came from: names problems, and relative paths begin at its folder. */
  readonly file: string;
  readonly isReadableByOthers?: boolean;
}

/** As `loadConfig`, for a text that was read already. Key files that it names are read. */
export function parseConfig({ text, file, isReadableByOthers = false }: ConfigText): Config {
  const { source, entries } = readEntries(text, file);
  const folder = dirname(file);
  const { radius } = entries;
  const completed = entries.gateway && completeGateway(entries.gateway, { radius, folder });
  const gateway = completed?.gateway;
  const callers = completeConnections(entries, folder);
  // What is named wrongly cannot be read.
  const clients = completed?.problems.length === 0 ? gatewayPolicy(completed.gateway) : undefined;
  const problems = [callers, completed, clients].flatMap((findings) => findings?.problems ?? []);
  if (problems.length > 0)
    throw new ConfigError(file, inOrder(problems.map((remark) => located(source, remark))));
  const logins = clients?.logins;
  const remarks = [
    ...[callers, clients].flatMap((findings) => findings?.warnings ?? []),
    ...(isReadableByOthers ? inlineKeys(entries) : []),
  ];
  return {
    file,
    ...(gateway !== undefined && {
      gateway: { ...gateway, ...(logins !== undefined && { devicesOf: logins.devicesOf }) },
    }),
    ...(logins !== undefined && { logins }),
    ...(clients?.accounting !== undefined && { accounting: clients.accounting }),
    ...(clients?.disconnect !== undefined && { disconnect: clients.disconnect }),
    connections: [...callers.connections, ...(clients?.connections ?? [])],
    hosts: callers.hosts,
    listen: listenOf(entries),
    tun: { name: entries.tun ?? DEFAULT_TUN_NAME, mtu: entries.mtu ?? DEFAULT_MTU },
    offloads: entries.offloads ?? "auto",
    nativeCiphers: entries.nativeCiphers ?? "auto",
    spinMicroseconds: entries.spin ?? 0,
    workers: entries.workers ?? 1,
    log: { level: entries.log?.level ?? "info", format: entries.log?.format ?? "human" },
    socket: resolve(folder, entries.socket ?? DEFAULT_SOCKET),
    showsRestarts: true,
    keepsTickets: true,
    stateDirectory: resolve(folder, entries.state ?? DEFAULT_STATE_DIRECTORY),
    warnings: inOrder(remarks.map((remark) => located(source, remark))).map((problem) =>
      formatProblem(file, { ...problem, excerpt: "" }),
    ),
  };
}

/** Clients of a gateway come from anywhere, also from where UDP does not get through. */
function listenOf({ listen, gateway }: ConfigFile): Config["listen"] {
  const natTraversalPort = listen?.natTraversalPort ?? NAT_TRAVERSAL_PORT;
  const tcp = listen?.tcp ?? (gateway === undefined ? "off" : natTraversalPort);
  return {
    addresses: listen?.addresses ?? ["0.0.0.0", "::"],
    port: listen?.port ?? IKE_PORT,
    natTraversalPort,
    ...(tcp !== "off" && { tcpPort: tcp }),
  };
}

/**
 * The gateway that a configuration file describes, or undefined when it has none. Nothing that it names is read: neither certificates
 * nor users need to be there. Throws as `loadConfig` does.
 */
export function loadGateway(path: string): GatewayConfig | undefined {
  const file = resolve(path);
  const { source, entries } = readEntries(readText(file).text, file);
  if (entries.gateway === undefined) return undefined;
  const { gateway, problems } = completeGateway(entries.gateway, {
    radius: entries.radius,
    folder: dirname(file),
  });
  if (problems.length === 0) return gateway;
  throw new ConfigError(file, inOrder(problems.map((remark) => located(source, remark))));
}

interface Entries {
  readonly source: YamlSource;
  readonly entries: ConfigFile;
}

function readEntries(text: string, file: string): Entries {
  const source = new YamlSource(text);
  if (source.problems.length > 0) throw new ConfigError(file, source.problems);
  return { source, entries: understand(source, file) };
}

function understand(source: YamlSource, file: string): ConfigFile {
  if (source.value === null || source.value === undefined) {
    throw new ConfigError(file, [source.problemAt([], { at: "value", message: "the file is empty" })]);
  }
  const result = v.safeParse(fileSchema, source.value);
  if (result.success) return result.output;
  throw new ConfigError(
    file,
    inOrder(
      withoutConsequences(result.issues)
        .slice(0, MOST_PROBLEMS)
        .map((issue) => issueProblem(source, issue)),
    ),
  );
}

type Issue = v.BaseIssue<unknown>;

/** Leaves out keys that are missing because of a misspelling: whoever wrote "remot" has been told. */
function withoutConsequences(issues: readonly Issue[]): readonly Issue[] {
  return issues.filter((issue) => {
    if (issue.type === "partial_check") return !issues.some(({ message }) => MISSPELT_ROOM.test(message));
    return !isMissing(issue) || !issues.some((other) => isMisspelling(other, issue));
  });
}

const MISSPELT_ROOM = /did you mean "(gateway|connections)"\?$/;

function isMisspelling(issue: Issue, missing: Issue): boolean {
  const [parent, place] = [issue, missing].map((either) => JSON.stringify(pathOf(either).slice(0, -1)));
  return parent === place && issue.message.endsWith(`; did you mean "${pathOf(missing).at(-1)}"?`);
}

function isMissing(issue: Issue): boolean {
  return issue.type === "loose_object" && issue.path?.at(-1)?.origin === "key";
}

function issueProblem(source: YamlSource, issue: Issue): Problem {
  const at = issue.path?.at(-1)?.origin === "key" ? "key" : "value";
  return source.problemAt(pathOf(issue), { at, message: issue.message });
}

function pathOf(issue: Issue): ConfigPath {
  return (issue.path ?? []).map(({ key }) => (typeof key === "number" ? key : String(key)));
}

function located(source: YamlSource, { path, message }: Remark): Problem {
  return source.problemAt(path, { at: "key", message });
}

function inOrder(problems: readonly Problem[]): readonly Problem[] {
  return [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** Keys that stand in the file itself, when everybody can read it. */
function inlineKeys({ connections, radius }: ConfigFile): readonly Remark[] {
  const isInline = (secret: PresharedKeyEntry | undefined) =>
    typeof secret === "string" || (secret !== undefined && secret.file === undefined);
  const message =
    "this file holds a secret and can be read by everybody; try chmod 600, or secret: { file: ... }";
  const inlineSecrets = (
    entries: readonly { readonly secret: PresharedKeyEntry }[],
    path: readonly string[],
  ) =>
    entries.flatMap(({ secret }, index) =>
      isInline(secret) ? [{ path: [...path, index, "secret"], message }] : [],
    );
  const shared = [
    ...inlineSecrets(radius?.servers ?? [], ["radius", "servers"]),
    ...inlineSecrets(radius?.accounting?.servers ?? [], ["radius", "accounting", "servers"]),
    ...inlineSecrets(radius?.disconnect?.servers ?? [], ["radius", "disconnect", "servers"]),
  ];
  const own = Object.entries(connections ?? {}).flatMap(([name, { local, ppk, password }]) => {
    const path = ["connections", name];
    return [
      ...(isInline(local.psk)
        ? [
            {
              path: [...path, "local", "psk"],
              message:
                "this file holds a key and can be read by everybody; try chmod 600, or psk: { file: ... }",
            },
          ]
        : []),
      ...(isInline(ppk?.key)
        ? [
            {
              path: [...path, "ppk", "key"],
              message:
                "this file holds a key and can be read by everybody; try chmod 600, or key: { file: ... }",
            },
          ]
        : []),
      ...(isInline(password)
        ? [
            {
              path: [...path, "password"],
              message:
                "this file holds a password and can be read by everybody; try chmod 600, or password: { file: ... }",
            },
          ]
        : []),
    ];
  });
  return [...own, ...shared];
}

function readText(file: string): { readonly text: string; readonly isReadableByOthers: boolean } {
  try {
    const status = statSync(file);
    if (!status.isFile()) throw new PolicyError(`${file} is not a file`, { code: "CONFIG" });
    if (status.size > LARGEST_FILE) throw new PolicyError(`${file} is larger than 4 MiB`, { code: "CONFIG" });
    const text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
    return { text, isReadableByOthers: (status.mode & READABLE_BY_OTHERS) !== 0 };
  } catch (cause) {
    if (cause instanceof PolicyError) throw cause;
    throw unreadable(file, cause as NodeJS.ErrnoException);
  }
}

function unreadable(file: string, cause: NodeJS.ErrnoException): Error {
  switch (cause.code) {
    case "ENOENT":
      return new PolicyError(`there is no configuration at ${file}; name another with -c FILE`, {
        code: "CONFIG",
        cause,
      });
    case "EACCES":
    case "EPERM":
      return new PlatformError(`not allowed to read ${file}`, { code: "EACCES", cause });
    case "ERR_ENCODING_INVALID_ENCODED_DATA":
      return new PolicyError(`${file} is not UTF-8 text`, { code: "CONFIG", cause });
    default:
      return new PolicyError(`cannot read ${file}: ${cause.code ?? cause.message}`, {
        code: "CONFIG",
        cause,
      });
  }
}
