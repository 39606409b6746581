import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Finding, failure, ok, warning } from "./finding.ts";

/** linux/capability.h */
const CAP_NET_ADMIN = 12;
const LOOKUP_LIMIT_MS = 5_000;

/** Whether we may make devices, routes and rules. */
export function checkRights(): Finding {
  const check = "rights";
  const [, effective = "0"] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readOr("/proc/self/status", "")) ?? [];
  if (((BigInt(`0x${effective}`) >> BigInt(CAP_NET_ADMIN)) & 1n) === 1n)
    return ok(check, "we may change the network");
  return failure(
    check,
    "we may not change the network (CAP_NET_ADMIN)",
    "run it as root: sudo ikebana check",
  );
}

/** Opening the device makes no link yet. */
export function checkTun(path = "/dev/net/tun"): Finding {
  const check = "tun";
  try {
    closeSync(openSync(path, "r+"));
    return ok(check, `${path} is there`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") {
      return failure(
        check,
        `${path} may not be opened`,
        "run as root; in a container, pass the device: --device /dev/net/tun",
      );
    }
    return failure(
      check,
      `${path} is missing (${code})`,
      "modprobe tun; in a container, pass the device: --device /dev/net/tun",
    );
  }
}

/** Whether the UDP port can be had at each of the addresses. `isOurs`: a running ikebana has it already. */
export async function checkPort({
  port,
  addresses,
  isOurs,
}: {
  readonly port: number;
  readonly addresses: readonly string[];
  readonly isOurs: boolean;
}): Promise<Finding> {
  const check = `port-${port}`;
  if (isOurs) return ok(check, `UDP port ${port} is in use by ikebana, which is running`);
  for (const address of addresses) {
    const code = await tryBind(port, address);
    if (code === "EADDRINUSE") {
      return failure(
        check,
        `UDP port ${port} of ${address} is in use by another program`,
        `find it with: ss -ulpn sport = ${port}; strongSwan stops with: systemctl disable --now strongswan strongswan-starter`,
      );
    }
    if (code === "EACCES") return failure(check, `UDP port ${port} may not be used`, "run as root");
    // Without IPv6 in the kernel "::" is no address, and not needed.
    if (code !== undefined && !(address === "::" && code === "EAFNOSUPPORT")) {
      return failure(
        check,
        `UDP port ${port} of ${address} cannot be used (${code})`,
        "see listen: in the configuration",
      );
    }
  }
  return ok(check, `UDP port ${port} is free; routers and firewalls on the way must let it through`);
}

function tryBind(port: number, address: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(":") ? { type: "udp6", ipv6Only: true } : { type: "udp4" });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      socket.close();
      resolve(error.code ?? error.message);
    });
    socket.bind({ port, address, exclusive: true }, () => socket.close(() => resolve(undefined)));
  });
}

/** What a gateway hides its clients with, and keeps its machine from forwarding for others. */
export function checkFirewall(
  { masquerades }: { readonly masquerades: boolean },
  path = process.env.PATH ?? "",
): Finding {
  const check = "firewall";
  const isThere = path.split(":").some((folder) => existsSync(`${folder}/nft`));
  if (isThere) return ok(check, "nft is there");
  const advice = "apt install nftables";
  return masquerades
    ? failure(check, "nft is missing, which nat: true needs", advice)
    : warning(
        check,
        "nft is missing: where forwarding was off, this machine will forward for all of its networks",
        advice,
      );
}

/** Strict reverse path filtering drops what comes in by another device than answers would leave by. */
export function checkReversePath(root = "/proc/sys"): Finding {
  const check = "reverse-path";
  const folder = `${root}/net/ipv4/conf`;
  const strict = listOr(folder).filter(
    (device) => readOr(`${folder}/${device}/rp_filter`, "0").trim() === "1",
  );
  if (!strict.includes("all") && !strict.includes("default"))
    return ok(check, "no strict reverse path filter");
  return warning(
    check,
    `strict reverse path filtering (rp_filter 1) for ${strict.join(", ")}`,
    "if packets get lost: sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.default.rp_filter=2",
  );
}

/** Whether the name that users type leads here, as far as can be seen from here. */
export async function checkDomain(domain: string): Promise<Finding> {
  const check = "domain";
  const found = await addressesOf(domain);
  if (found.length === 0) {
    return failure(
      check,
      `${domain} has no address`,
      "add an A record (and AAAA) for this machine to the DNS",
    );
  }
  const own = Object.values(networkInterfaces()).flatMap((links) =>
    (links ?? []).map(({ address }) => address),
  );
  const isAddress = isIP(domain) !== 0;
  const what = isAddress ? domain : `${domain} is ${found.join(" and ")}, which`;
  if (found.some((address) => own.includes(address))) return ok(check, `${what} is this machine`);
  return warning(
    check,
    `${what} is no address of this machine`,
    `behind a router that is right: let it forward UDP 500 and 4500 (and TCP 4500) to this machine; else correct ${isAddress ? "it" : "the DNS"}`,
  );
}

async function addressesOf(domain: string): Promise<readonly string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly string[]>((resolve) => {
    timer = setTimeout(() => resolve([]), LOOKUP_LIMIT_MS);
  });
  const found = lookup(domain, { all: true }).then(
    (answers) => answers.map(({ address }) => address),
    () => [],
  );
  try {
    return await Promise.race([found, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A wrong clock makes good certificates look expired, or not valid yet. */
export async function checkClock(nowMs: number): Promise<Finding> {
  const check = "clock";
  const time = new Date(nowMs).toISOString().slice(0, 16).replace("T", " ");
  // Nothing of ours is older than the time at which it was installed.
  const installedMs = statSync(fileURLToPath(import.meta.url)).mtimeMs;
  if (nowMs < installedMs) {
    return failure(check, `the clock says ${time} UTC, which is in the past`, "timedatectl set-ntp true");
  }
  const isSynchronised = await askTimedatectl();
  if (isSynchronised === "no") {
    return warning(check, `nothing keeps the clock right; it says ${time} UTC`, "timedatectl set-ntp true");
  }
  return ok(check, `the clock says ${time} UTC${isSynchronised === "yes" ? ", and is kept right" : ""}`);
}

/** "yes", "no", or undefined where systemd does not run. */
async function askTimedatectl(): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(
      "timedatectl",
      ["show", "--property=NTPSynchronized", "--value"],
      { timeout: 2_000 },
    );
    return stdout.trim();
  } catch {
    return undefined;
  }
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return otherwise;
  }
}

function listOr(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
