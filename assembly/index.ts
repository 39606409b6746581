export { chachaExpandKey, chachaOpenBatch, chachaSealBatch } from "./chacha20-poly1305";
export { gcmExpandKey, gcmOpenBatch, gcmSealBatch } from "./gcm";
export { configure } from "./scratch";
