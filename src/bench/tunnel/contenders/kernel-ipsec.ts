import { toHex } from "../../../bytes/hex.ts";
import { PlatformError } from "../../../errors/index.ts";
import { systemRandom } from "../../../platform/random.ts";
import type { Contender } from "../contender.ts";
import { CLIENT, GATEWAY, type Ground, type Host, INNER_MTU, OUTER_LINK } from "../ground.ts";
import { findPrograms } from "../program.ts";
import { waitUntil } from "../wait.ts";

const PORT = 4500;
const SALT_LENGTH = 4;
const SPIS = { toGateway: "0x1bebe001", toClient: "0x1bebe002" } as const;

/**
 * ESP of the kernel with AES-GCM, in tunnel mode and with keys by hand, since what is timed is ESP and not IKE; in UDP as behind a NAT, or
 * as a protocol of its own.
 */
export function kernelIpsec({
  keyBits,
  inUdp,
  isDefault,
}: {
  readonly keyBits: 128 | 256;
  readonly inUdp: boolean;
  readonly isDefault: boolean;
}): Contender {
  return {
    name: `kernel-ipsec-aes${keyBits}gcm16${inUdp ? "" : "-raw"}`,
    title: `kernel IPsec, AES-${keyBits}-GCM, ${inUdp ? "in UDP" : "no UDP"}`,
    encrypts: true,
    cipher: `rfc4106(gcm(aes)) ${keyBits}`,
    isDefault,
    async start(ground) {
      const [ip] = findPrograms([{ program: "ip", package: "iproute2" }]);
      const { client, gateway } = ground;
      const key = (): string => toHex(systemRandom.bytes(keyBits / 8 + SALT_LENGTH));
      const sas: readonly Sa[] = [
        { from: CLIENT, to: GATEWAY, spi: SPIS.toGateway, key: key() },
        { from: GATEWAY, to: CLIENT, spi: SPIS.toClient, key: key() },
      ];
      for (const host of [client, gateway]) {
        if (inUdp) await openEncapsulation(host);
        for (const sa of sas) await install(host, ip!, sa, inUdp);
        const peer = host === client ? gateway : client;
        const route = `route add ${peer.plan.network} via ${peer.plan.outer} dev ${OUTER_LINK} src ${host.plan.inner} mtu ${INNER_MTU}`;
        await host.run([ip!, ...route.split(" ")]);
      }
      const states = (await client.run([ip!, "xfrm", "state"])).out;
      const [, algorithm, octets] = /aead (\S+) 0x([0-9a-f]+)/.exec(states) ?? [];
      const { out } = await client.run(["uname", "-r"]);
      return {
        version: `Linux ${out.trim()}`,
        cipher: `${algorithm} ${((octets?.length ?? 0) / 2 - SALT_LENGTH) * 8}`,
        link: OUTER_LINK,
        mtu: INNER_MTU,
        daemons: [],
      };
    },
  };
}

interface Sa {
  readonly from: typeof CLIENT;
  readonly to: typeof CLIENT;
  readonly spi: string;
  readonly key: string;
}

/** The SA, and the policy for what it carries: out on the one side, in on the other. */
async function install(host: Host, ip: string, { from, to, spi, key }: Sa, inUdp: boolean): Promise<void> {
  const xfrm = async (words: string): Promise<void> => {
    const { code, error } = await host.run([ip, "xfrm", ...words.split(" ")], { codes: [0, 1, 2, 255] });
    if (code !== 0) throw new PlatformError(`the kernel has no ESP for us: ${error.trim()}`);
  };
  const tunnel = `src ${from.outer} dst ${to.outer} proto esp`;
  const encapsulation = inUdp ? ` encap espinudp ${PORT} ${PORT} 0.0.0.0` : "";
  await xfrm(
    `state add ${tunnel} spi ${spi} reqid 1 mode tunnel replay-window 64 aead rfc4106(gcm(aes)) 0x${key} 128${encapsulation}`,
  );
  const direction = host.plan === from ? "out" : "in";
  await xfrm(
    `policy add src ${from.network} dst ${to.network} dir ${direction} tmpl ${tunnel} reqid 1 mode tunnel`,
  );
}

/**
 * The kernel takes ESP out of UDP for a socket that says so; nobody ever reads from it. Level 17 is UDP, option 100 UDP_ENCAP, 2
 * UDP_ENCAP_ESPINUDP.
 */
async function openEncapsulation(host: Ground["client"]): Promise<void> {
  const script = `use Socket; $| = 1; socket(my $s, AF_INET, SOCK_DGRAM, 0) or die $!; bind($s, pack_sockaddr_in(${PORT}, INADDR_ANY)) or die $!;
    setsockopt($s, 17, 100, pack("i", 2)) or die "the kernel takes no ESP in UDP: $!"; print "open\\n"; sleep`;
  const [perl] = findPrograms([{ program: "perl", package: "perl-base" }]);
  const holder = host.start("a socket for ESP in UDP", [perl!, "-e", script]);
  await waitUntil("the kernel takes ESP in UDP", () => holder.out.includes("open") || holder.hasEnded);
  if (holder.hasEnded) throw new PlatformError(`the kernel has no ESP for us: ${holder.lastWords}`);
}
