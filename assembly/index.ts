export { chachaExpandKey, chachaOpenBatch, chachaSealBatch } from "./chacha20-poly1305";
export { configure } from "./scratch";
