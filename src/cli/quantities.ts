/** "2d 3h", "3h 12m", "4m 5s", "6s", "120ms": the two largest units that count. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))}ms`;
  const seconds = Math.floor(ms / 1000);
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(" ");
}

/** "0 B", "999 B", "1.2 kB", "34.5 MB": decimal units, as speeds are quoted. */
export function formatOctets(octets: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let amount = octets;
  let unit = 0;
  while (amount >= 999.95 && unit < units.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return unit === 0 ? `${octets} B` : `${amount.toFixed(1)} ${units[unit]}`;
}

/** "0 bit/s", "1.2 Mbit/s": as speeds of lines are quoted. */
export function formatBitRate(bitsPerSecond: number): string {
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
  let rate = bitsPerSecond;
  let unit = 0;
  while (rate >= 999.95 && unit < units.length - 1) {
    rate /= 1000;
    unit += 1;
  }
  return unit === 0 ? `${Math.round(rate)} bit/s` : `${rate.toFixed(1)} ${units[unit]}`;
}

/** "1,234,567". */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}
