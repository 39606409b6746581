import { setTimeout as sleep } from "node:timers/promises";
import { PlatformError } from "../../errors/index.ts";

/**
 * Looks again and again until `isSo` holds. Throws PlatformError (ETIMEDOUT) after `timeoutMs`, with what `describe` says about how
 * things stand.
 */
export async function waitUntil(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  {
    timeoutMs = 20_000,
    intervalMs = 20,
    describe = () => "",
  }: { readonly timeoutMs?: number; readonly intervalMs?: number; readonly describe?: () => string } = {},
): Promise<void> {
  for (const end = performance.now() + timeoutMs; !(await isSo()); await sleep(intervalMs)) {
    if (performance.now() < end) continue;
    const state = describe();
    throw new PlatformError(`${what}: not within ${timeoutMs / 1000} s${state === "" ? "" : `\n${state}`}`, {
      code: "ETIMEDOUT",
    });
  }
}
