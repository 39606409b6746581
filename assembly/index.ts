export { chachaExpandKey, chachaOpenBatch, chachaSealBatch } from "./chacha20-poly1305";
export { espDecapsulateBatch } from "./decapsulate";
export { espEncapsulateBatch } from "./encapsulate";
export { gcmExpandKey, gcmOpenBatch, gcmSealBatch } from "./gcm";
export { espPrepareSa, espReplayMark, espWipeSa } from "./sad";
export { configure, wipeTraces } from "./scratch";
