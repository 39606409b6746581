import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { CLONE_NEWNET } from "../../src/platform/system-calls/constants.ts";
import { succeed } from "../../src/platform/system-calls/errno.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";

/**
 * Whether tests that need root may run. When they may not, says so in one line, or fails where IKEBANA_REQUIRE_INTEROP=1
 * promises that nothing is skipped.
 */
export function requireRoot(what: string): boolean {
  if (process.platform === "linux" && process.getuid?.() === 0) return true;
  if (process.env.IKEBANA_REQUIRE_INTEROP === "1") throw new Error(`${what}: needs root on Linux`);
  console.log(`skipped: ${what} (needs root on Linux)`);
  return false;
}

/**
 * Moves this thread into a network namespace of its own, which nobody else has a name for and which ends with the process.
 * Vitest runs each file in a process, so call it once at the top of a file.
 */
export function enterFreshNamespace(): void {
  succeed("unshare the network namespace", createLinuxSystemCalls().unshare(CLONE_NEWNET));
}

/** Raises the loopback link and gives it more addresses. */
export function raiseLoopback(prefixes: readonly string[]): void {
  const network = new LinuxNetwork(createLinuxSystemCalls());
  network.setLinkUp("lo");
  for (const prefix of prefixes) network.addAddress("lo", prefix);
  network.close();
}
