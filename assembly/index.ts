export { chachaExpandKey, chachaOpenBatch, chachaSealBatch } from "./chacha20-poly1305";
export { espCoalesceBatch, espSplitWrite } from "./coalesce";
export { copyOctets } from "./copy";
export { espDecapsulateBatch } from "./decapsulate";
export { espDummyBatch, espNextDummy } from "./dummies";
export { espEncapsulateBatch } from "./encapsulate";
export {
  etmExpandIvKey,
  etmExpandKey,
  etmOpenBatch,
  etmSealBatch,
  etmWriteIvs,
} from "./encrypt-then-mac";
export { gcmExpandKey, gcmOpenBatch, gcmSealBatch } from "./gcm";
export { gmacOpenBatch, gmacSealBatch } from "./gmac";
export { configure, wipeTraces } from "./instance";
export { espPrepareSa, espReplayMark, espWipeSa } from "./sad";
