import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type CommandResult, HostProcess, runOn } from "./host-process.ts";
import type { TestHost } from "./namespace.ts";
import { until } from "./waiting.ts";

/**
 * A folder into which another Debian's strongSwan was unpacked with all that it needs (`dpkg -x`), to be run in the place of the one that
 * is installed.
 */
const ROOT = process.env.IKEBANA_STRONGSWAN_ROOT;
const CHARON = "/usr/sbin/charon-systemd";
const SWANCTL = "/usr/sbin/swanctl";
const PLUGINS = "/usr/lib/ipsec/plugins";
const NEEDED = [
  CHARON,
  SWANCTL,
  `${PLUGINS}/libstrongswan-kernel-libipsec.so`,
  `${PLUGINS}/libstrongswan-chapoly.so`,
  `${PLUGINS}/libstrongswan-eap-mschapv2.so`,
  `${PLUGINS}/libstrongswan-eap-tls.so`,
  "/usr/bin/iperf3",
  "/usr/sbin/nft",
  "/usr/bin/ping",
];
const PACKAGES =
  "charon-systemd strongswan-swanctl libcharon-extra-plugins libcharon-extauth-plugins libstrongswan-extra-plugins libstrongswan-standard-plugins iperf3 iputils-ping nftables";

/**
 * Whether there is a strongSwan to talk to. When there is none, says so in one line, or fails where IKEBANA_REQUIRE_INTEROP=1
 * promises that nothing is skipped.
 */
export function requireStrongswan(what: string): boolean {
  const missing = NEEDED.filter((file) => !existsSync(file));
  if (missing.length === 0) return true;
  const message = `${what} (${missing.join(", ")} missing: apt-get install ${PACKAGES})`;
  if (process.env.IKEBANA_REQUIRE_INTEROP === "1") throw new Error(message);
  console.log(`skipped: ${message}`);
  return false;
}

/** Major version of the one that runs: 5 or 6. */
export function strongswanVersion(): number {
  const [program, ...words] = inRoot([SWANCTL, "--version"]);
  const { stdout = "", stderr = "" } = spawnSync(program!, words, { encoding: "utf8" });
  return Number(/strongSwan (\d+)\./.exec(stdout + stderr)?.[1] ?? 0);
}

function inRoot(command: readonly string[]): readonly [string, ...string[]] {
  return ROOT === undefined ? ["env", ...command] : ["chroot", ROOT, ...command];
}

/** What is unpacked finds devices, processes and our files where they are. The mounts are the host's own. */
function prepareRoot(host: TestHost): void {
  for (const folder of ROOT === undefined ? [] : ["/dev", "/proc", "/sys", "/tmp"]) {
    const { status, stderr } = host.run("mount", ["--rbind", folder, `${ROOT}${folder}`]);
    if (status !== 0) throw new Error(stderr);
  }
}

/** A strongSwan with user-space ESP on a test host, in a directory of its own. */
export interface Strongswan {
  readonly pid: number;
  /** The log of the IKE daemon. */
  readonly log: string;
  /** Waits until the log holds the text. */
  logged(text: string, timeoutMs?: number): Promise<void>;
  initiate(child: string): Promise<CommandResult>;
  /** `{ child: "lan" }` deletes a child SA, `{ ike: "ikebana" }` an IKE SA with all that it has. */
  terminate(what: { readonly child: string } | { readonly ike: string }): Promise<CommandResult>;
  /** Begins to rekey; what becomes of it is in the log. */
  rekey(what: { readonly child: string } | { readonly ike: string }): Promise<CommandResult>;
  /** `swanctl --list-sas`: empty when there is none. */
  listSas(): Promise<string>;
  signal(signal: NodeJS.Signals): void;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** `settings`: a strongswan.conf that is read behind ours. */
export async function startStrongswan(
  host: TestHost,
  {
    configuration,
    settings = "",
    credentials = {},
  }: {
    readonly configuration: string;
    readonly settings?: string;
    /** Files that swanctl finds by itself: { "x509ca/ca.pem": "-----BEGIN" }. */
    readonly credentials?: Readonly<Record<string, string>>;
  },
): Promise<Strongswan> {
  const directory = mkdtempSync(join(tmpdir(), "strongswan-"));
  const vici = join(directory, "charon.vici");
  const logFile = join(directory, "charon.log");
  const swanctlConf = join(directory, "swanctl.conf");
  const strongswanConf = join(directory, "strongswan.conf");
  writeFileSync(strongswanConf, `${strongswanSettings(vici, logFile)}\n${settings}`);
  writeFileSync(swanctlConf, configuration, { mode: 0o600 });
  for (const [file, text] of Object.entries(credentials)) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), text, { mode: 0o600 });
  }

  prepareRoot(host);
  const process = new HostProcess(host, inRoot([CHARON]), { STRONGSWAN_CONF: strongswanConf });
  const readLog = (): string => (existsSync(logFile) ? readFileSync(logFile, "utf8") : "");
  const describe = (): string => `${readLog()}${process.out}${process.error}`;
  const swanctl = (...words: readonly string[]): Promise<CommandResult> =>
    runOn(
      host,
      inRoot(["/usr/bin/env", `SWANCTL_DIR=${directory}`, SWANCTL, ...words, "--uri", `unix://${vici}`]),
    );

  const strongswan: Strongswan = {
    pid: process.pid,
    get log() {
      return readLog();
    },
    logged: (text, timeoutMs) =>
      until(`strongSwan logs "${text}"`, () => readLog().includes(text), {
        ...(timeoutMs !== undefined && { timeoutMs }),
        describe,
      }),
    initiate: (child) => swanctl("--initiate", "--child", child, "--timeout", "20"),
    terminate: (what) => swanctl("--terminate", ...chosen(what), "--timeout", "20"),
    rekey: (what) => swanctl("--rekey", ...chosen(what)),
    listSas: async () => (await swanctl("--list-sas")).out,
    signal: (signal) => process.signal(signal),
    stop: async (signal = "SIGTERM") => {
      try {
        if (process.ending === undefined) await process.stop(signal);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
  };
  try {
    await until("strongSwan is ready", () => existsSync(vici) || process.ending !== undefined, { describe });
    let loaded: CommandResult = { code: 1, out: "", error: "" };
    await until(
      "strongSwan takes its configuration",
      async () => {
        loaded = await swanctl("--load-all", "--file", swanctlConf);
        return loaded.code === 0;
      },
      { describe: () => `${loaded.out}${loaded.error}${describe()}` },
    );
    return strongswan;
  } catch (error) {
    await strongswan.stop("SIGKILL");
    throw error;
  }
}

function chosen(what: { readonly child: string } | { readonly ike: string }): readonly string[] {
  return "child" in what ? ["--child", what.child] : ["--ike", what.ike];
}

/**
 * User-space ESP takes what it shall protect through a TUN device and a routing table of its own; the mark keeps the daemon's
 * own datagrams out of it.
 */
function strongswanSettings(vici: string, logFile: string): string {
  return `charon-systemd {
  load = random nonce aes aesni sha1 sha2 hmac kdf gcm openssl curve25519 chapoly gmp pem pkcs1 pkcs8 pubkey x509 constraints kernel-libipsec kernel-netlink socket-default eap-identity eap-mschapv2 eap-tls vici updown
  install_routes = yes
  filelog {
    log {
      path = ${logFile}
      default = 1
      ike = 2
      cfg = 2
      flush_line = yes
    }
  }
  plugins {
    vici {
      socket = unix://${vici}
    }
    kernel-netlink {
      fwmark = !0x42
    }
    socket-default {
      fwmark = 0x42
    }
    kernel-libipsec {
      allow_peer_ts = yes
    }
  }
}
`;
}
