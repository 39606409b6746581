export type { Counters } from "./counters.ts";
export { IkeEndpoint } from "./endpoint.ts";
export type { IkeEvent, IkeInput, IkeOutput, NegotiatedChildSa } from "./io.ts";
export { DEFAULT_LIMITS, type Limits } from "./limits.ts";
export type { Ports } from "./machine.ts";
export { STANDARD_PORTS } from "./ports.ts";
export type { Deadline, DeadlineReason } from "./timers.ts";
export type { ChildSaView, IkeSaView } from "./view.ts";
