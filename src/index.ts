// The public door: an engine, the machines it runs on, and its configuration.

export { loadConfig } from "./config/load.ts";
export type { EngineControl, LivenessOutcome, Outcome } from "./engine/control-surface.ts";
export { Engine } from "./engine/engine.ts";
export type { EngineConfig } from "./engine/engine-config.ts";
export type { Host, OpenHost } from "./engine/host.ts";
export { createLinuxHost } from "./engine/linux-host.ts";
export { createMemoryHost } from "./engine/memory-host.ts";
export type { EngineStatus } from "./engine/status.ts";
export { PeerError, PlatformError, PolicyError, WireError } from "./errors/index.ts";
export { MemoryWire } from "./platform/udp/memory-udp.ts";
