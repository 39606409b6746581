import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import { dirname, join, resolve } from "node:path";
import { DEFAULT_CONFIG_FILE } from "../config/defaults.ts";
import { parseHost } from "../config/values.ts";
import { ntHash } from "../crypto/nt-hash.ts";
import { PolicyError } from "../errors/index.ts";
import { formatCard } from "../profile/card.ts";
import { type CertificateSource, writeGatewayFiles } from "../setup/gateway-files.ts";
import { installService } from "../setup/service.ts";
import { SERVICE_USER } from "../setup/service-unit.ts";
import { faultOfName, faultOfPassword } from "../users/user.ts";
import { changeUsers } from "../users/users-file.ts";
import { checkEverything, formatFindings } from "./check.ts";
import { ExitCode } from "./exit-code.ts";
import { generatePassword } from "./generated-password.ts";
import { askLine, passwordFromInput } from "./prompt.ts";
import type { Terminal } from "./terminal.ts";
import { newUser } from "./users.ts";

export interface SetupFlags {
  readonly config: string;
  readonly socket: string;
  readonly domain?: string;
  readonly user?: string;
  readonly passwordStdin?: boolean;
  readonly selfSigned?: boolean;
  readonly certificate?: string;
  readonly key?: string;
  /** Where certbot keeps its things. */
  readonly letsencrypt: string;
  readonly force?: boolean;
  /** Also make a service of it. */
  readonly systemd?: boolean;
  /** Where units are. */
  readonly units: string;
}

const USERS_FILE = "users.yaml";

/**
 * `ikebana setup`: from nothing to a gateway that can be started. Asks for what no flag says, at most three questions; writes
 * certificates, configuration and the first user; checks the machine, and says what to type on each device.
 */
export async function runSetup({
  flags,
  terminal,
}: {
  readonly flags: SetupFlags;
  readonly terminal: Terminal;
}): Promise<ExitCode> {
  const config = resolve(flags.config);
  if (existsSync(config) && flags.force !== true) {
    throw new PolicyError(`${config} is there already; --force replaces it`, { code: "CONFIG" });
  }
  const domain = parseHost(
    flags.domain ?? (await answered("--domain", "Domain name that users will type: ")),
  );
  const source = await certificateSource(domain, flags);
  const user = flags.user ?? (await answered("--user", "Name of the first user: "));
  const password = flags.passwordStdin === true ? await passwordFromInput() : generatePassword();
  const fault = faultOfName(user) ?? faultOfPassword(password);
  if (fault !== undefined) throw new PolicyError(fault);

  const users = join(dirname(config), USERS_FILE);
  addFirstUser(users, user, password);
  const program = resolve(process.argv[1] ?? "");
  const { paths, authority, own, foreign } = await writeGatewayFiles({
    domain,
    source,
    config,
    users: USERS_FILE,
    reload: [process.execPath, program, "reload", "--socket", flags.socket],
  });
  const service =
    flags.systemd === true
      ? await installService({
          user: SERVICE_USER,
          folder: flags.units,
          config,
          node: process.execPath,
          program,
          owned: [users, ...own],
          needed: foreign,
        })
      : undefined;
  for (const message of service?.warnings ?? []) terminal.error(`ikebana: ${message}\n`);
  for (const path of [users, ...paths, ...(service === undefined ? [] : [service.path])])
    terminal.error(`written: ${path}\n`);

  const findings = await checkEverything({ configFile: config, socket: flags.socket });
  terminal.out(`\n${formatFindings(findings, terminal)}\n`);
  terminal.out(
    formatCard({
      domain,
      user,
      password,
      ...(authority !== undefined && { authority: new X509Certificate(readFileSync(authority)).raw }),
      networks: [],
      hasIpv6: true,
      onDemand: false,
    }),
  );
  terminal.out(
    closingWords({
      config,
      user,
      isGenerated: flags.passwordStdin !== true,
      isService: service !== undefined,
    }),
  );
  return ExitCode.DONE;
}

function addFirstUser(path: string, name: string, password: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  changeUsers(path, (draft) => draft.put({ ...newUser(name), ntHash: ntHash(password) }));
}

async function certificateSource(domain: string, flags: SetupFlags): Promise<CertificateSource> {
  if (flags.selfSigned === true) return { kind: "own-authority" };
  if (flags.certificate !== undefined) {
    if (flags.key === undefined) throw new PolicyError("--certificate goes with --key");
    return { kind: "files", certificate: resolve(flags.certificate), key: resolve(flags.key) };
  }
  const certbots = join(flags.letsencrypt, "live", domain);
  if (existsSync(join(certbots, "fullchain.pem"))) return certbot(certbots, flags);
  const advice = `there is no certificate for ${domain} in ${flags.letsencrypt}`;
  if (process.stdin.isTTY !== true) {
    const certbotWords =
      isIP(domain) === 0 ? `run certbot certonly --key-type rsa -d ${domain} first, or ` : "";
    throw new PolicyError(`${advice}; ${certbotWords}say --certificate and --key, or --self-signed`);
  }
  const folder = await askLine(
    `${advice}.\nFolder with fullchain.pem and privkey.pem (empty for a CA of your own): `,
  );
  if (folder === "") return { kind: "own-authority" };
  const [certificate, key] = [resolve(folder, "fullchain.pem"), resolve(folder, "privkey.pem")];
  const missing = [certificate, key].find((path) => !existsSync(path));
  if (missing !== undefined) throw new PolicyError(`there is no ${missing}`);
  return { kind: "files", certificate, key };
}

function certbot(folder: string, { letsencrypt }: SetupFlags): CertificateSource {
  return { kind: "certbot", folder, hooks: join(letsencrypt, "renewal-hooks/deploy") };
}

async function answered(flag: string, question: string): Promise<string> {
  if (process.stdin.isTTY !== true)
    throw new PolicyError(`say it with ${flag}: there is no terminal to ask at`);
  for (;;) {
    const answer = await askLine(question);
    if (answer !== "") return answer;
  }
}

function closingWords({
  config,
  user,
  isGenerated,
  isService,
}: {
  readonly config: string;
  readonly user: string;
  readonly isGenerated: boolean;
  readonly isService: boolean;
}): string {
  const isDefault = config === DEFAULT_CONFIG_FILE;
  const flag = isDefault ? "" : ` -c ${config}`;
  return [
    "",
    ...(isGenerated ? [`The password of ${user} stands above, and nowhere else: it is not kept.`] : []),
    `Start the gateway:  ${isService ? "systemctl start ikebana" : `ikebana up${flag}`}`,
    `More users:         ikebana users add NAME${flag}`,
    `Files for devices:  ikebana profile ${user} --for windows|apple|android|networkmanager${flag}`,
    "",
  ].join("\n");
}
