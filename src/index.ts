export { createSharedMemory, loadKernel } from "./esp/kernel.ts";
