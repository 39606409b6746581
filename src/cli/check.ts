import { checkCertificate } from "../checks/certificate.ts";
import { type Finding, failure, ok, warning } from "../checks/finding.ts";
import {
  checkClock,
  checkDomain,
  checkFirewall,
  checkPort,
  checkReversePath,
  checkRights,
  checkTun,
} from "../checks/machine.ts";
import type { Config } from "../config/config.ts";
import type { GatewayConfig } from "../config/gateway.ts";
import { loadConfig, loadGateway } from "../config/load.ts";
import { ControlClient } from "../control/client.ts";
import { PlatformError, PolicyError } from "../errors/index.ts";
import { printable } from "../log/redact.ts";
import { ExitCode } from "./exit-code.ts";
import type { Terminal } from "./terminal.ts";

export interface CheckCommand {
  readonly configFile: string;
  readonly socket: string;
  readonly json: boolean;
  readonly terminal: Terminal;
}

/** `ikebana check`: everything that has to be right on this machine, each with what to do where it is not. */
export async function runCheck({ configFile, socket, json, terminal }: CheckCommand): Promise<ExitCode> {
  const findings = await checkEverything({ configFile, socket });
  terminal.out(json ? `${JSON.stringify({ findings })}\n` : formatFindings(findings, terminal));
  return exitCodeOfFindings(findings);
}

/** As a list for people; what is fine takes one line. */
export function formatFindings(
  findings: readonly Finding[],
  { outHasColour }: Pick<Terminal, "outHasColour">,
): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  return findings
    .map(({ check, outcome, message, advice }) => {
      const { word, style } = SHOWN[outcome];
      const label = outHasColour ? `${style}${word}${RESET}` : word;
      const line = `${label}  ${check.padEnd(width)}  ${printable(message)}\n`;
      return advice === undefined ? line : `${line}      ${" ".repeat(width)}  -> ${printable(advice)}\n`;
    })
    .join("");
}

const RESET = "\x1b[0m";
const SHOWN = {
  ok: { word: "OK  ", style: "\x1b[32m" },
  warning: { word: "WARN", style: "\x1b[33m" },
  failure: { word: "FAIL", style: "\x1b[31m" },
} as const;

/** The first thing that is wrong decides. */
function exitCodeOfFindings(findings: readonly Finding[]): ExitCode {
  const first = findings.find(({ outcome }) => outcome === "failure")?.check;
  if (first === undefined) return ExitCode.DONE;
  if (first === "configuration") return ExitCode.CONFIGURATION;
  if (first === "rights") return ExitCode.PERMISSION;
  return first.startsWith("certificate") ? ExitCode.CERTIFICATE : ExitCode.WRONG_USE;
}

/** What `ikebana check` looks at, most important first. */
export async function checkEverything({
  configFile,
  socket,
}: Pick<CheckCommand, "configFile" | "socket">): Promise<readonly Finding[]> {
  const { config, gateway, findings } = readConfiguration(configFile);
  const isOurs = await isRunning(socket);
  const { addresses, port, natTraversalPort } = config?.listen ?? DEFAULT_LISTEN;
  return [
    ...findings,
    checkRights(),
    checkTun(),
    await checkPort({ port, addresses, isOurs }),
    await checkPort({ port: natTraversalPort, addresses, isOurs }),
    checkReversePath(),
    await checkClock(Date.now()),
    ...(gateway === undefined ? [] : await checkGateway(gateway)),
  ];
}

const DEFAULT_LISTEN = { addresses: ["0.0.0.0", "::"], port: 500, natTraversalPort: 4500 };

function readConfiguration(file: string): {
  readonly config: Config | undefined;
  /** Also where a file that it names is wrong. */
  readonly gateway: GatewayConfig | undefined;
  readonly findings: readonly Finding[];
} {
  const check = "configuration";
  try {
    const config = loadConfig(file);
    const warnings = config.warnings.map((message) => warning(check, message, "see docs/configuration.md"));
    return { config, gateway: config.gateway, findings: [ok(check, `${config.file} is right`), ...warnings] };
  } catch (error) {
    if (!(error instanceof PolicyError || error instanceof PlatformError)) throw error;
    const [first = ""] = error.message.split("\n", 1);
    const advice = `ikebana config check -c ${file}`;
    return { config: undefined, gateway: gatewayAlone(file), findings: [failure(check, first, advice)] };
  }
}

function gatewayAlone(file: string): GatewayConfig | undefined {
  try {
    return loadGateway(file);
  } catch (error) {
    if (error instanceof PolicyError || error instanceof PlatformError) return undefined;
    throw error;
  }
}

async function checkGateway(gateway: GatewayConfig): Promise<readonly Finding[]> {
  return [
    await checkDomain(gateway.domain),
    ...gateway.certificates.flatMap((files) =>
      checkCertificate({ ...files, domain: gateway.domain, nowMs: Date.now() }),
    ),
    checkFirewall(gateway),
    ...(gateway.takesWindowsDefault ? [WEAK] : []),
  ];
}

const WEAK = warning(
  "compat",
  "compat: windows-default takes MODP-1024 and SHA-1 from whoever offers nothing better",
  "set Windows up with the script of `ikebana profile USER --for windows` instead, and remove it",
);

async function isRunning(socket: string): Promise<boolean> {
  try {
    await new ControlClient(socket).status();
    return true;
  } catch (error) {
    if (error instanceof PlatformError) return false;
    throw error;
  }
}
