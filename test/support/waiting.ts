/**
 * Looks again and again until `isSo` holds. Throws when that takes too long, naming what was waited for and how things stand
 * by then.
 */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  {
    timeoutMs = 30_000,
    describe = () => "",
  }: { readonly timeoutMs?: number; readonly describe?: () => string } = {},
): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs / 1000} s\n${describe()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
