import type { IkeSa } from "./ike-sa.ts";
import { trafficOf } from "./liveness.ts";

/**
 * RFC 3948 section 4: behind a NAT, whoever is silent for long is forgotten by it. An octet goes out when nothing else did for a
 * while; ESP and IKE take the same road, so either will do.
 */
export function keepAlive(ikeSa: IkeSa, now: number): void {
  const { machine, path, state } = ikeSa;
  // RFC 9329 section 6.6: TCP keeps its mappings by itself.
  if (!ikeSa.isBehindNat || path.stream !== undefined || state.name !== "established") return;
  const { keepaliveMs } = machine.limits;
  const lastAt = Math.max(ikeSa.outbox.transmittedAt, trafficOf(ikeSa).sentAt);
  const isDue = now >= lastAt + keepaliveMs;
  if (isDue) machine.emit({ kind: "keepalive", path });
  ikeSa.timers.set("keepalive", (isDue ? now : lastAt) + keepaliveMs, (then) => keepAlive(ikeSa, then));
}
