import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestHost } from "./namespace.ts";
import { until } from "./waiting.ts";

const FREERADIUS = "/usr/sbin/freeradius";

/**
 * Whether there is a FreeRADIUS to talk to. When there is none, says so in one line, or fails where IKEBANA_REQUIRE_INTEROP=1
 * promises that nothing is skipped.
 */
export function requireFreeradius(what: string): boolean {
  if (existsSync(FREERADIUS)) return true;
  const message = `${what} (${FREERADIUS} missing: apt-get install freeradius)`;
  if (process.env.IKEBANA_REQUIRE_INTEROP === "1") throw new Error(message);
  console.log(`skipped: ${message}`);
  return false;
}

export interface Freeradius {
  readonly log: string;
  /** The accounting records that it has written down. */
  readonly detail: string;
  /** Ends it at once; `start` brings it back, with all that it has written down. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** A FreeRADIUS in a host's network or, without one, in this thread's: on 127.0.0.1 ports 1812 and 1813, in a directory of its own. */
export async function startFreeradius(settings: {
  readonly host?: TestHost;
  readonly secret: string;
  /** Its users file. */
  readonly users: string;
  /** For EAP-TLS: PEM of its certificate and key, and of the CA of its clients. */
  readonly tls: { readonly certificate: string; readonly key: string; readonly ca: string };
}): Promise<Freeradius> {
  const directory = mkdtempSync(join(tmpdir(), "freeradius-"));
  const file = (name: string, text: string): void =>
    writeFileSync(join(directory, name), text, { mode: 0o600 });
  file("radiusd.conf", configuration(directory, settings.secret));
  file("dictionary", "");
  file("users", settings.users);
  file("server.pem", settings.tls.certificate);
  file("server.key", settings.tls.key);
  file("ca.pem", settings.tls.ca);
  const log = (): string => {
    const path = join(directory, "radius.log");
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  };
  const detail = (): string => {
    const path = join(directory, "detail");
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  };
  const options = ["-f", "-d", directory, "-n", "radiusd", "-l", join(directory, "radius.log")];
  const run = async () => {
    rmSync(join(directory, "radius.log"), { force: true });
    const child = (settings.host?.start ?? spawn)(FREERADIUS, options, { stdio: "ignore" });
    const ended = once(child, "exit");
    const isReady = (): boolean => {
      if (child.exitCode !== null) throw new Error(`FreeRADIUS did not start:\n${log()}`);
      return log().includes("Ready to process requests");
    };
    try {
      await until("FreeRADIUS is ready", isReady, { describe: log });
    } catch (cause) {
      child.kill("SIGKILL");
      throw cause;
    }
    return async (signal: NodeJS.Signals): Promise<void> => {
      child.kill(signal);
      await ended;
    };
  };
  let end = await run();
  return {
    get log() {
      return log();
    },
    get detail() {
      return detail();
    },
    kill: () => end("SIGKILL"),
    start: async () => {
      end = await run();
    },
    stop: async (signal = "SIGTERM") => {
      await end(signal);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function configuration(directory: string, secret: string): string {
  return `
prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = ${directory}
run_dir = ${directory}
max_request_time = 5
cleanup_delay = 1
max_requests = 1024
hostname_lookups = no
log {
  destination = files
  file = ${directory}/radius.log
  auth = yes
}
security {
  max_attributes = 200
  reject_delay = 0
  status_server = no
}
thread pool {
  start_servers = 1
  max_servers = 2
  min_spare_servers = 1
  max_spare_servers = 1
}
client gateway {
  ipaddr = 127.0.0.1
  secret = "${secret}"
  require_message_authenticator = yes
}
modules {
  detail {
    filename = ${directory}/detail
    header = "record"
    permissions = 0600
  }
  files {
    filename = ${directory}/users
  }
  mschap {
  }
  eap {
    default_eap_type = mschapv2
    timer_expire = 60
    max_sessions = 256
    mschapv2 {
    }
    tls-config lab {
      certificate_file = ${directory}/server.pem
      private_key_file = ${directory}/server.key
      ca_file = ${directory}/ca.pem
      fragment_size = 300
      tls_min_version = "1.2"
      tls_max_version = "1.3"
    }
    tls {
      tls = lab
    }
  }
}
server default {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = 1812
  }
  listen {
    type = acct
    ipaddr = 127.0.0.1
    port = 1813
  }
  accounting {
    detail
  }
  authorize {
    files
    eap
  }
  authenticate {
    Auth-Type MS-CHAP {
      mschap
    }
    eap
  }
}
`;
}
