import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { basename, dirname, join } from "node:path";
import { PlatformError } from "../errors/index.ts";
import { configurationText } from "./configuration-text.ts";
import { deployHook } from "./deploy-hook.ts";
import { writeWhole } from "./files.ts";
import { choosePools, usableResolvers } from "./networks.ts";
import { createOwnAuthority } from "./own-authority.ts";

/** Where the gateway's certificate comes from. */
export type CertificateSource =
  /** A folder of certbot's, below `live/`. `hooks` is where certbot looks for what to run after a renewal. */
  | { readonly kind: "certbot"; readonly folder: string; readonly hooks: string }
  | { readonly kind: "files"; readonly certificate: string; readonly key: string }
  | { readonly kind: "own-authority" };

export interface WrittenFiles {
  readonly paths: readonly string[];
  /** Those that the gateway alone shall read, and change: its certificates' folder, where it is ours. */
  readonly own: readonly string[];
  /** What it reads beside them. */
  readonly foreign: readonly string[];
  /** PEM file of the CA that devices have to be given; undefined when systems know it. */
  readonly authority: string | undefined;
}

const CONFIG_MODE = 0o640;
const KEY_MODE = 0o600;
const PUBLIC_MODE = 0o644;
const HOOK_MODE = 0o755;
const RESOLVER_FILES = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
const CERTIFICATE = "certificates/fullchain.pem";
const KEY = "certificates/privkey.pem";
const OURS = { certificate: CERTIFICATE, key: KEY, foreign: [] } as const;

/**
 * Writes what a gateway needs into the configuration's folder: certificate and key (or uses those that were named) and the
 * configuration itself, last. Throws PlatformError.
 */
export async function writeGatewayFiles({
  domain,
  source,
  config,
  users,
  reload,
}: {
  readonly domain: string;
  readonly source: CertificateSource;
  /** Absolute path of the configuration. */
  readonly config: string;
  /** Path of the users file, as the configuration names it. */
  readonly users: string;
  /** Words of the command that has a running gateway read its files again. */
  readonly reload: readonly string[];
}): Promise<WrittenFiles> {
  const folder = join(config, "..");
  const certificates = await writeCertificates({ domain, source, folder, reload });
  const text = configurationText({
    domain,
    certificate: certificates.certificate,
    key: certificates.key,
    users,
    pool: choosePools(domain, ownNetworks()),
    dns: usableResolvers(RESOLVER_FILES.map(textOf)),
  });
  writeWhole(config, text, CONFIG_MODE);
  const { authority, own, foreign } = certificates;
  return { paths: [...certificates.paths, config], authority, own, foreign };
}

interface WrittenCertificates extends WrittenFiles {
  /** As the configuration names them. */
  readonly certificate: string;
  readonly key: string;
}

async function writeCertificates({
  domain,
  source,
  folder,
  reload,
}: {
  readonly domain: string;
  readonly source: CertificateSource;
  readonly folder: string;
  readonly reload: readonly string[];
}): Promise<WrittenCertificates> {
  const [certificate, key] = [join(folder, CERTIFICATE), join(folder, KEY)];
  switch (source.kind) {
    case "files":
      return {
        ...source,
        paths: [],
        own: [],
        foreign: [source.certificate, source.key],
        authority: undefined,
      };
    case "certbot": {
      const hook = join(source.hooks, "ikebana");
      const lineage = basename(source.folder);
      mkdirSync(join(folder, "certificates"), { recursive: true, mode: 0o755 });
      writeWhole(hook, deployHook({ lineage, certificate, key, reload }), HOOK_MODE);
      // The first time is like every other.
      runHook(hook, source.folder);
      return { ...OURS, own: [dirname(key)], paths: [hook, certificate, key], authority: undefined };
    }
    case "own-authority": {
      const authority = join(folder, "certificates/ca.pem");
      const made = await createOwnAuthority(domain, Date.now());
      writeWhole(authority, made.authority, PUBLIC_MODE);
      writeWhole(key, made.key, KEY_MODE);
      writeWhole(certificate, made.certificate, PUBLIC_MODE);
      return { ...OURS, own: [dirname(key)], paths: [authority, certificate, key], authority };
    }
  }
}

function runHook(hook: string, lineage: string): void {
  try {
    execFileSync(hook, [], { env: { ...process.env, RENEWED_LINEAGE: lineage }, stdio: "pipe" });
  } catch (cause) {
    const { stderr } = cause as { readonly stderr?: Buffer };
    const said = stderr?.toString("utf8").trim() ?? "";
    throw new PlatformError(`${hook} failed: ${said === "" ? (cause as Error).message : said}`, {
      code: "HOOK",
      cause,
    });
  }
}

function ownNetworks(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((links) =>
    (links ?? []).flatMap(({ cidr }) => cidr ?? []),
  );
}

function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
