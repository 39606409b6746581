import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PlatformError } from "../../../errors/index.ts";
import type { Contender } from "../contender.ts";
import { type Ground, type Host, INNER_MTU } from "../ground.ts";
import { findPrograms, type RunningProgram } from "../program.ts";
import { waitUntil } from "../wait.ts";

const LINK = "tun0";

/**
 * OpenVPN 2.6 point to point over UDP, each side knowing the other by the fingerprint of its certificate. Everything that makes it
 * faster or slower is as it comes: buffers of the system's size, one event loop. The kernel's data channel offload (DCO) is off, since the
 * row stands for OpenVPN in user space, unless it is asked for; then a kernel that has none is a reason not to run.
 */
export function openvpn({
  cipher,
  title,
  isDefault,
  dco = false,
}: {
  /** As OpenVPN spells it: "AES-256-GCM". */
  readonly cipher: string;
  readonly title: string;
  readonly isDefault: boolean;
  readonly dco?: boolean;
}): Contender {
  return {
    name: `openvpn-${dco ? "dco-" : ""}${cipher.toLowerCase().replaceAll(/[-]/g, "")}`,
    title: `OpenVPN${dco ? " in the kernel (DCO)" : ""}, ${title}`,
    encrypts: true,
    cipher,
    isDefault,
    async start(ground) {
      const [program, openssl] = findPrograms([
        { program: "openvpn", package: "openvpn" },
        { program: "openssl", package: "openssl" },
      ]);
      const certificates = new Map<Host, Certificate>();
      for (const host of [ground.client, ground.gateway]) {
        certificates.set(host, await makeCertificate(ground, host, openssl!));
      }
      const start = (host: Host): RunningProgram => {
        const peer = host === ground.client ? ground.gateway : ground.client;
        const file = join(ground.directory, `openvpn-${host.plan.outer}.conf`);
        const text = configurationOf({
          host,
          peer,
          isServer: host === ground.gateway,
          own: certificates.get(host)!,
          peerFingerprint: certificates.get(peer)!.fingerprint,
          cipher,
          dco,
        });
        writeFileSync(file, text, { mode: 0o600 });
        return host.start("openvpn", [program!, "--config", file]);
      };
      const gateway = start(ground.gateway);
      await waitUntil(
        "OpenVPN's gateway is ready",
        () => gateway.out.includes("link remote") || gateway.hasEnded,
        {
          describe: () => gateway.lastWords,
        },
      );
      const daemons = [gateway, start(ground.client)];
      const describe = (): string => daemons.map((daemon) => daemon.lastWords).join("\n");
      await waitUntil(
        "a tunnel by OpenVPN",
        () => {
          if (daemons.some((daemon) => daemon.hasEnded))
            throw new PlatformError(`openvpn ended: ${describe()}`);
          return daemons.every(({ out }) => out.includes("Initialization Sequence Completed"));
        },
        { describe },
      );
      const log = daemons[1]!.out;
      if (dco && !log.includes("DCO device")) {
        const why =
          /^.*(?:ovpn-dco|disabling data channel).*$/im.exec(log)?.[0] ?? "OpenVPN says nothing of it";
        throw new PlatformError(
          `no data channel offload: ${why.replace(/^[\d: -]*(?:us=\d+ )?(?:Note: )?/, "")}`,
        );
      }
      return {
        version: versionIn(log),
        cipher: /Data Channel:? .*?cipher '([^']+)'/i.exec(log)?.[1] ?? "unknown",
        link: LINK,
        daemons: daemons.map(({ pid }) => pid!),
      };
    },
  };
}

/** The program's version and that of the library that encrypts: "OpenVPN 2.6.14 (OpenSSL 3.0.17)". */
function versionIn(log: string): string {
  const library = /library versions: (OpenSSL [\w.]+)/.exec(log)?.[1];
  return `${/OpenVPN [\d.]+/.exec(log)?.[0] ?? "OpenVPN"}${library === undefined ? "" : ` (${library})`}`;
}

interface Certificate {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly fingerprint: string;
}

async function makeCertificate({ directory }: Ground, host: Host, openssl: string): Promise<Certificate> {
  const keyFile = join(directory, `${host.plan.outer}.key`);
  const certificateFile = join(directory, `${host.plan.outer}.crt`);
  await host.run([
    openssl,
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
    ...["-subj", `/CN=${host.plan.outer}`, "-keyout", keyFile, "-out", certificateFile],
  ]);
  const { fingerprint256 } = new X509Certificate(readFileSync(certificateFile));
  return { keyFile, certificateFile, fingerprint: fingerprint256 };
}

function configurationOf({
  host,
  peer,
  isServer,
  own,
  peerFingerprint,
  cipher,
  dco,
}: {
  readonly host: Host;
  readonly peer: Host;
  readonly isServer: boolean;
  readonly own: Certificate;
  readonly peerFingerprint: string;
  readonly cipher: string;
  readonly dco: boolean;
}): string {
  return `dev ${LINK}
dev-type tun
proto udp
local ${host.plan.outer}
remote ${peer.plan.outer}
port 1194
${isServer ? "tls-server\ndh none" : "tls-client"}
cert ${own.certificateFile}
key ${own.keyFile}
peer-fingerprint ${peerFingerprint}
ifconfig ${host.plan.inner} ${peer.plan.inner}
tun-mtu ${INNER_MTU}
data-ciphers ${cipher}
${dco ? "" : "disable-dco\n"}verb 4
`;
}
