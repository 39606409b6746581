// The public door of the data plane.

export * from "./data-plane.ts";
export { createSharedMemory } from "./kernel.ts";
export { lanesOf } from "./lanes.ts";
export { type Drops, type StatusName, statusName } from "./status.ts";
