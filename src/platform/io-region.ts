import { WORKER_BASE, WORKER_IO_OFFSET, WORKER_SIZE } from "../../assembly/layout.ts";

// What the platform keeps in the WORKER_IO region of each worker, 384 KB in blocks of 48 KB:
//
//   data workers   0..5 one for each socket                 6 TUN device   7 poll, and behind it the local stream
//   host (0)       0 headers of a send, 4..5 its datagram  6 filters       7 wake-up
const BLOCK_SIZE = 49152;

export const SOCKET_BLOCK_COUNT = 6;
export const DATAGRAM_BLOCK = 4;
export const TUN_BLOCK = 6;
export const POLL_BLOCK = 7;
const STREAM_OFFSET = 4096;

/** Address of a block. */
export function ioBlock(worker: number, block: number): number {
  return WORKER_BASE + worker * WORKER_SIZE + WORKER_IO_OFFSET + block * BLOCK_SIZE;
}

/** Address of the local stream's part of a worker's last block. */
export function streamBlock(worker: number): number {
  return ioBlock(worker, POLL_BLOCK) + STREAM_OFFSET;
}
