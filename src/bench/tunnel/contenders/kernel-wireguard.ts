import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PlatformError } from "../../../errors/index.ts";
import type { Contender } from "../contender.ts";
import { INNER_MTU, withNetwork } from "../ground.ts";
import { findPrograms } from "../program.ts";
import { generateWireguardKeys, WIREGUARD_PORT } from "../wireguard-keys.ts";

const LINK = "wg0";

/** WireGuard of the kernel. */
export const kernelWireguard: Contender = {
  name: "kernel-wireguard",
  title: "kernel WireGuard",
  encrypts: true,
  cipher: "ChaCha20-Poly1305",
  isDefault: true,
  async start(ground) {
    const [ip] = findPrograms([{ program: "ip", package: "iproute2" }]);
    const ends = [ground.client, ground.gateway].map((host) => ({ host, keys: generateWireguardKeys() }));
    for (const { host } of ends) {
      const { code, error } = await host.run([ip!, "link", "add", LINK, "type", "wireguard"], {
        codes: [0, 1, 2, 255],
      });
      if (code !== 0) throw new PlatformError(`the kernel has no WireGuard for us: ${error.trim()}`);
    }
    const [wg] = findPrograms([{ program: "wg", package: "wireguard-tools" }]);
    for (const [index, { host, keys }] of ends.entries()) {
      const peer = ends[1 - index]!;
      const file = join(ground.directory, `wireguard-${index}.conf`);
      const text = `[Interface]
PrivateKey = ${keys.privateKey.toString("base64")}
ListenPort = ${WIREGUARD_PORT}
[Peer]
PublicKey = ${peer.keys.publicKey.toString("base64")}
Endpoint = ${peer.host.plan.outer}:${WIREGUARD_PORT}
AllowedIPs = ${peer.host.plan.network}
`;
      writeFileSync(file, text, { mode: 0o600 });
      await host.run([wg!, "setconf", LINK, file]);
      host.inside(() =>
        withNetwork(ground.systemCalls, (network) => {
          network.setLinkUp(LINK, { mtu: INNER_MTU });
          network.addRoute({ destination: peer.host.plan.network, link: LINK });
        }),
      );
    }
    const { out } = await ground.client.run(["uname", "-r"]);
    return {
      version: `Linux ${out.trim()}`,
      // The protocol has no other.
      cipher: "ChaCha20-Poly1305",
      link: LINK,
      daemons: [],
    };
  },
};
