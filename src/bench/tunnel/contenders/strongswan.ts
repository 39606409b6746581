import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toHex } from "../../../bytes/hex.ts";
import { PlatformError } from "../../../errors/index.ts";
import { systemRandom } from "../../../platform/random.ts";
import type { Contender } from "../contender.ts";
import type { Ground, Host } from "../ground.ts";
import { findPrograms, type RunningProgram } from "../program.ts";
import { waitUntil } from "../wait.ts";

const LINK = "ipsec0";
const PLUGIN_FOLDERS = ["/usr/lib/ipsec/plugins", "/usr/lib64/ipsec/plugins"] as const;

/** strongSwan with ESP in user space (kernel-libipsec), as Debian packages it. */
export function strongswan({
  proposal,
  cipher,
  title,
  isDefault,
}: {
  /** "aes256gcm16". */
  readonly proposal: string;
  /** As `swanctl --list-sas` spells it: "AES_GCM_16-256". */
  readonly cipher: string;
  readonly title: string;
  readonly isDefault: boolean;
}): Contender {
  return {
    name: `strongswan-${proposal}`,
    title: `strongSwan in user space, ${title}`,
    encrypts: true,
    cipher,
    isDefault,
    async start(ground) {
      const [charon, swanctl] = findPrograms([
        { program: "charon-systemd", package: "charon-systemd" },
        { program: "swanctl", package: "strongswan-swanctl" },
      ]);
      requirePlugins();
      const secret = toHex(systemRandom.bytes(32));
      const sides: Side[] = [];
      for (const host of [ground.gateway, ground.client]) {
        const side = new Side(ground, host, charon!, swanctl!);
        sides.push(side);
        await side.load(secret, proposal);
      }
      const client = sides[1]!;
      await client.swanctl("--initiate", "--child", "lan", "--timeout", "20");
      const listed = (await client.swanctl("--list-sas")).out;
      const answer = await client.swanctl("--version", "--daemon");
      return {
        version: /strongSwan \d[\w.]*/.exec(answer.out)?.[0] ?? "strongSwan",
        cipher: /ESP:(\S+)/.exec(listed)?.[1]?.replace(/\/NO_EXT_SEQ.*$/, "") ?? "unknown",
        link: LINK,
        daemons: sides.map(({ pid }) => pid),
      };
    },
  };
}

/** Throws PlatformError that names what is missing. */
export function requirePlugins(): void {
  const missing = ["kernel-libipsec", "chapoly", "openssl"].filter(
    (name) => !PLUGIN_FOLDERS.some((folder) => existsSync(join(folder, `libstrongswan-${name}.so`))),
  );
  if (missing.length === 0) return;
  throw new PlatformError(
    `plugins ${missing.join(", ")} of strongSwan not found: apt-get install libcharon-extra-plugins libstrongswan-extra-plugins libstrongswan-standard-plugins`,
    { code: "ENOENT" },
  );
}

class Side {
  readonly #ground: Ground;
  readonly #host: Host;
  readonly #name: string;
  readonly #vici: string;
  readonly #logFile: string;
  readonly #swanctlProgram: string;
  readonly #daemon: RunningProgram;

  constructor(ground: Ground, host: Host, charon: string, swanctl: string) {
    this.#ground = ground;
    this.#host = host;
    this.#name = host === ground.client ? "client" : "gateway";
    this.#vici = join(ground.directory, `${this.#name}.vici`);
    this.#logFile = join(ground.directory, `${this.#name}.log`);
    this.#swanctlProgram = swanctl;
    const settings = join(ground.directory, `${this.#name}-strongswan.conf`);
    writeFileSync(settings, settingsOf({ vici: this.#vici, logFile: this.#logFile }));
    this.#daemon = host.start("strongSwan", [charon], { STRONGSWAN_CONF: settings });
  }

  get pid(): number {
    return this.#daemon.pid!;
  }

  get log(): string {
    return existsSync(this.#logFile) ? readFileSync(this.#logFile, "utf8") : "";
  }

  async load(secret: string, proposal: string): Promise<void> {
    const file = join(this.#ground.directory, `${this.#name}-swanctl.conf`);
    const peer = this.#name === "client" ? this.#ground.gateway : this.#ground.client;
    writeFileSync(file, configurationOf(this.#name, this.#host, peer, { secret, proposal }), { mode: 0o600 });
    const describe = (): string => `${this.log.slice(-2000)}${this.#daemon.lastWords}`;
    await waitUntil(
      "strongSwan is ready",
      () => {
        if (this.#daemon.hasEnded) throw new PlatformError(`strongSwan ended: ${describe()}`);
        return existsSync(this.#vici);
      },
      { describe },
    );
    await this.swanctl("--load-all", "--file", file);
  }

  swanctl(...words: readonly string[]) {
    return this.#host.run([this.#swanctlProgram, ...words, "--uri", `unix://${this.#vici}`]);
  }
}

/**
 * The plugins that compute fastest go first: openssl and aesni before the plain C ones. User-space ESP takes what it shall
 * protect through a TUN device and a routing table of its own; the mark keeps the daemon's own datagrams out of it.
 */
export function settingsOf({
  vici,
  logFile,
  logLevel = 1,
  more = "",
}: {
  readonly vici: string;
  readonly logFile: string;
  readonly logLevel?: number;
  /** Further lines of the daemon's section. */
  readonly more?: string;
}): string {
  return `charon-systemd {${more}
  load = random nonce aesni openssl aes sha1 sha2 hmac kdf gcm curve25519 chapoly gmp pem pkcs1 x509 kernel-libipsec kernel-netlink socket-default vici
  install_routes = yes
  filelog {
    log {
      path = ${logFile}
      default = ${logLevel}
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

function configurationOf(
  name: string,
  host: Host,
  peer: Host,
  { secret, proposal }: { readonly secret: string; readonly proposal: string },
): string {
  const other = name === "client" ? "gateway" : "client";
  return `connections {
  bench {
    version = 2
    local_addrs = ${host.plan.outer}
    remote_addrs = ${peer.plan.outer}
    proposals = aes256gcm16-prfsha384-x25519
    local {
      auth = psk
      id = ${name}.example
    }
    remote {
      auth = psk
      id = ${other}.example
    }
    children {
      lan {
        local_ts = ${host.plan.network}
        remote_ts = ${peer.plan.network}
        esp_proposals = ${proposal}
      }
    }
  }
}
secrets {
  ike-bench {
    id-1 = client.example
    id-2 = gateway.example
    secret = "${secret}"
  }
}
`;
}
