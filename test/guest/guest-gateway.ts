import { spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { WITH_US } from "../../src/platform/namespaces.ts";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { PacketCapture } from "../../src/platform/packet-capture.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { raiseLoopback } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";
import { GUEST_LINK_ADDRESS, Guest } from "./guest.ts";

// Our daemon in the network namespace of this thread, and strongSwan on a Linux kernel at the other end of a TAP device. strongSwan
// negotiates keys, the guest's kernel has the ESP:
//
//   10.1.0.1  tun [ikebana up] 192.0.2.1      tap0 ======== eth0 [guest] 192.0.2.2       10.2.0.1, 10.2.0.2

const LINK_ADDRESS = "02:00:00:00:00:01";
const PSK = "correct horse battery staple";
export const INSIDE = { us: "10.1.0.1", raw: "10.2.0.1", udp: "10.2.0.2" } as const;

export interface GuestGateway {
  readonly guest: Guest;
  readonly ikebana: IkebanaDaemon;
  /** `swanctl` in the guest, which has to succeed. */
  swanctl(words: string): Promise<string>;
  /** What passes on the TAP device. */
  watch(): PacketCapture;
  close(): Promise<void>;
}

/** Boots a guest beside a daemon, in the network namespace of this thread, which has to be a fresh one. No connection is up then. */
export async function openGuestGateway(): Promise<GuestGateway> {
  raiseLoopback([`${INSIDE.us}/32`]);
  for (const scope of ["all", "default"]) writeFileSync(`/proc/sys/net/ipv4/conf/${scope}/rp_filter`, "0");
  ip("tuntap add tap0 mode tap");
  ip(`link set tap0 address ${LINK_ADDRESS} up`);
  ip("addr add 192.0.2.1/24 dev tap0");
  ip(`neigh add 192.0.2.2 lladdr ${GUEST_LINK_ADDRESS} nud permanent dev tap0`);
  const guest = await Guest.boot({ tap: "tap0" });
  try {
    await startStrongswan(guest);
    const ikebana = await startIkebana(HERE, CONFIGURATION);
    return {
      guest,
      ikebana,
      swanctl: (words) => guest.run(`swanctl ${words} --uri unix:///run/charon.vici`),
      watch: () => {
        const network = new LinuxNetwork(createLinuxSystemCalls());
        const link = network.linkIndex("tap0")!;
        network.close();
        return new PacketCapture({ link });
      },
      close: async () => {
        await ikebana.stop();
        await guest.stop();
      },
    };
  } catch (error) {
    await guest.stop();
    throw error;
  }
}

/** This thread's namespace, as a host that programs are started on. */
const HERE = {
  start: (command: string, args: readonly string[], options = {}) => {
    const [program, ...words] = [...WITH_US, command, ...args];
    return spawn(program!, words, options);
  },
};

async function startStrongswan(guest: Guest): Promise<void> {
  await guest.run("mount -t tmpfs tmpfs /run");
  await guest.ip([
    "addr add 192.0.2.2/24 dev eth0",
    `addr add ${INSIDE.raw}/32 dev lo`,
    `addr add ${INSIDE.udp}/32 dev lo`,
    `neigh add 192.0.2.1 lladdr ${LINK_ADDRESS} nud permanent dev eth0`,
    `route add ${INSIDE.us} via 192.0.2.1`,
  ]);
  const settings = guest.write("strongswan.conf", SETTINGS);
  const connections = guest.write("swanctl.conf", CONNECTIONS);
  const charon = guest.start(`STRONGSWAN_CONF=${settings} exec charon-systemd`);
  const load = `test -e /run/charon.vici && swanctl --load-all --file ${connections} --uri unix:///run/charon.vici`;
  let answer = "";
  await until(
    "strongSwan in the guest takes its configuration",
    async () => {
      const loaded = guest.start(load);
      const { code } = await loaded.ended;
      answer = loaded.out;
      return code === 0;
    },
    { timeoutMs: 30_000, describe: () => charon.out + answer },
  );
}

const SETTINGS = `charon-systemd {
  load = random nonce openssl aes sha1 sha2 hmac kdf gcm curve25519 kernel-netlink socket-default vici
  install_routes = no
  filelog {
    stdout {
      default = 1
      flush_line = yes
    }
  }
  plugins {
    vici {
      socket = unix:///run/charon.vici
    }
  }
}
`;

/** One connection with raw ESP and AES-GCM, which we call for, and one with ESP in UDP, AES-CBC and HMAC-SHA1, which the guest does. */
const CHILDREN = [
  { name: "raw", esp: "aes256gcm16", encapsulation: "raw", start: "trap" },
  { name: "udp", esp: "aes256-sha1", encapsulation: "udp", start: "respond" },
] as const;

const CONFIGURATION = `socket: ikebana.sock
state: state
tun: tun0
connections:
${CHILDREN.map(
  ({ name, esp, encapsulation, start }) => `  ${name}:
    local: { address: 192.0.2.1, id: us-${name}.example.org, psk: "${PSK}" }
    remote: { address: 192.0.2.2, id: guest-${name}.example.org }
    ike: [aes256gcm16-prfsha384-x25519]
    encapsulation: ${encapsulation}
    start: ${start}
    children:
      ${name}: { local: [${INSIDE.us}/32], remote: [${INSIDE[name]}/32], esp: [${esp}] }
`,
).join("")}`;

const CONNECTIONS = `connections {
${CHILDREN.map(
  ({ name, esp }) => `  ${name} {
    version = 2
    local_addrs = 192.0.2.2
    remote_addrs = 192.0.2.1
    proposals = aes256gcm16-prfsha384-x25519
    local {
      auth = psk
      id = guest-${name}.example.org
    }
    remote {
      auth = psk
      id = us-${name}.example.org
    }
    children {
      ${name} {
        local_ts = ${INSIDE[name]}/32
        remote_ts = ${INSIDE.us}/32
        esp_proposals = ${esp}
      }
    }
  }
`,
).join("")}}
secrets {
${CHILDREN.map(
  ({ name }) => `  ike-${name} {
    id-1 = us-${name}.example.org
    id-2 = guest-${name}.example.org
    secret = "${PSK}"
  }
`,
).join("")}}
`;

/** `ip` with its words, in the network namespace of this thread. */
function ip(words: string): void {
  const [program, ...args] = `ip ${words}`.split(" ");
  const { status, stderr } = spawnSync(program!, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${words}: ${stderr}`);
}
