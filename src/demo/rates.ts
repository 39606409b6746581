/** "980 bit/s", "1.2 kbit/s", "634 Mbit/s", "1.45 Gbit/s": three digits. */
export function formatRate(bitsPerSecond: number): string {
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
  let rate = bitsPerSecond;
  let unit = 0;
  while (rate >= 999.5 && unit < units.length - 1) {
    rate /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || rate >= 99.95 ? 0 : rate >= 9.995 ? 1 : 2;
  return `${rate.toFixed(digits)} ${units[unit]}`;
}

/** "0.42 ms", "12.3 ms". */
export function formatMs(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}
