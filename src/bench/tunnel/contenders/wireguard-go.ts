import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { toHex } from "../../../bytes/hex.ts";
import { PlatformError } from "../../../errors/index.ts";
import type { Contender } from "../contender.ts";
import { type Ground, type Host, INNER_MTU, withNetwork } from "../ground.ts";
import { findPrograms, type RunningProgram } from "../program.ts";
import { waitUntil } from "../wait.ts";
import { generateWireguardKeys, WIREGUARD_PORT } from "../wireguard-keys.ts";

const LINK = "wg0";

/** WireGuard in user space, as Debian packages it: the installed one. */
export const wireguardGo: Contender = {
  name: "wireguard-go",
  title: "wireguard-go",
  encrypts: true,
  cipher: "ChaCha20-Poly1305",
  isDefault: true,
  start: (ground) => {
    const [program] = findPrograms([{ program: "wireguard-go", package: "wireguard-go" }]);
    const described = spawnSync(program!, ["--version"], { encoding: "utf8" }).stdout ?? "";
    const version = /^wireguard-go v?([\w.]+)/.exec(described)?.[1] ?? "";
    return startWith(ground, { program: program!, version: `wireguard-go ${version}` });
  },
};

/** The same out of a package file that is unpacked for the run and not installed: that of a newer Debian. */
export function wireguardGoOf(packageFile: string | undefined): Contender {
  return {
    name: "wireguard-go-deb",
    title: "wireguard-go, package given",
    encrypts: true,
    cipher: "ChaCha20-Poly1305",
    isDefault: packageFile !== undefined,
    start: async (ground) => {
      if (packageFile === undefined) {
        throw new PlatformError(
          "no package: give one with --wireguard-deb FILE (bench/README.md says how to get it)",
        );
      }
      const [dpkg] = findPrograms([{ program: "dpkg-deb", package: "dpkg" }]);
      const folder = join(ground.directory, "package");
      await ground.client.run([dpkg!, "-x", packageFile, folder]);
      const { out } = await ground.client.run([dpkg!, "-f", packageFile, "Version"]);
      return startWith(ground, {
        program: join(folder, "usr/bin/wireguard-go"),
        version: `wireguard-go ${out.trim()}`,
      });
    },
  };
}

async function startWith(
  ground: Ground,
  { program, version }: { readonly program: string; readonly version: string },
) {
  const daemons: RunningProgram[] = [];
  const ends = [ground.gateway, ground.client].map((host) => ({ host, keys: generateWireguardKeys() }));
  for (const [index, { host, keys }] of ends.entries()) {
    const peer = ends[1 - index]!;
    const daemon = host.start("wireguard-go", [program, "--foreground", LINK], { LOG_LEVEL: "error" });
    daemons.push(daemon);
    await waitUntil("wireguard-go is ready", () => existsSync(socketOf(host)) || daemon.hasEnded);
    if (daemon.hasEnded) throw new PlatformError(`wireguard-go ended: ${daemon.lastWords}`);
    await configure(host, [
      `private_key=${toHex(keys.privateKey)}`,
      `listen_port=${WIREGUARD_PORT}`,
      `public_key=${toHex(peer.keys.publicKey)}`,
      `endpoint=${peer.host.plan.outer}:${WIREGUARD_PORT}`,
      `allowed_ip=${peer.host.plan.network}`,
    ]);
    host.inside(() =>
      withNetwork(ground.systemCalls, (network) => {
        network.setLinkUp(LINK, { mtu: INNER_MTU });
        network.addRoute({ destination: peer.host.plan.network, link: LINK });
      }),
    );
  }
  return {
    version,
    // The protocol has no other.
    cipher: "ChaCha20-Poly1305",
    link: LINK,
    daemons: daemons.map(({ pid }) => pid!),
  };
}

/** The host's /run is its own: we reach it through the process that holds its mounts. */
function socketOf({ pid }: Host): string {
  return `/proc/${pid}/root/run/wireguard/${LINK}.sock`;
}

/** Speaks WireGuard's configuration protocol: lines with a value each, an empty one at the end, and an errno as the answer. */
function configure(host: Host, lines: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new PlatformError(`configure wireguard-go: ${why}`));
    const socket = createConnection(socketOf(host));
    let answer = "";
    socket.setEncoding("utf8");
    socket.setTimeout(5000, () => {
      socket.destroy();
      fail("no answer");
    });
    socket.on("error", (error) => fail(error.message));
    socket.on("data", (text: string) => {
      answer += text;
      if (!answer.endsWith("\n\n")) return;
      socket.end();
      if (answer === "errno=0\n\n") resolve();
      else fail(answer.trim());
    });
    socket.write(`set=1\n${lines.join("\n")}\n\n`);
  });
}
