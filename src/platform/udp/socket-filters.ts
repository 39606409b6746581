import { SPI_SLOT_BITS, SPI_WORKER_BITS } from "../../../assembly/layout.ts";
import { ioBlock, TUN_BLOCK } from "../io-region.ts";
import { SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF, SOL_SOCKET } from "../system-calls/constants.ts";
import { succeed } from "../system-calls/errno.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";

// Small programs for the kernel, in its classic packet filter language (linux/filter.h):
//
//   sock_filter   code (2) | jump if true (1) | jump if false (1) | number (4)
//   sock_fprog    count (2) | unused (6) | pointer to the instructions (8)

type Instruction = readonly [code: number, isTrue: number, isFalse: number, number: number];

const INSTRUCTION_SIZE = 8;
const PROGRAM_SIZE = 16;
const HOST = 0;

const LOAD_WORD = 0x20;
const SHIFT_RIGHT = 0x74;
const AND = 0x54;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;

/**
 * Gives each of the sockets that share a port the datagrams for its own worker: `workers` are theirs, in the order in which they were
 * bound. The SPI of ESP names the worker; IKE, whose marker is zero where the SPI would be, and whatever is shorter goes to the first.
 * Throws PlatformError when the kernel has no such thing (before 4.5).
 */
export function steerBySpi(systemCalls: SystemCalls, descriptor: number, workers: readonly number[]): void {
  const choices = workers.flatMap((worker, index): Instruction[] => [
    [JUMP_IF_EQUAL, 0, 1, worker],
    [RETURN, 0, 0, index],
  ]);
  const program: readonly Instruction[] = [
    // Where there is no such word, the program ends with 0.
    [LOAD_WORD, 0, 0, 0],
    [SHIFT_RIGHT, 0, 0, SPI_SLOT_BITS],
    [AND, 0, 0, (1 << SPI_WORKER_BITS) - 1],
    ...choices,
    [RETURN, 0, 0, 0],
  ];
  attach(systemCalls, {
    descriptor,
    option: SO_ATTACH_REUSEPORT_CBPF,
    program,
    what: "choose sockets by SPI",
  });
}

/** Keeps everything from a socket that only sends. */
export function refuseAll(systemCalls: SystemCalls, descriptor: number): void {
  const program: readonly Instruction[] = [[RETURN, 0, 0, 0]];
  attach(systemCalls, { descriptor, option: SO_ATTACH_FILTER, program, what: "receive nothing" });
}

function attach(
  systemCalls: SystemCalls,
  facts: {
    readonly descriptor: number;
    readonly option: number;
    readonly program: readonly Instruction[];
    readonly what: string;
  },
): void {
  const { descriptor, option, program, what } = facts;
  const at = ioBlock(HOST, TUN_BLOCK);
  const view = new DataView(systemCalls.memory.buffer);
  for (const [i, [code, isTrue, isFalse, number]] of program.entries()) {
    const instruction = at + i * INSTRUCTION_SIZE;
    view.setUint16(instruction, code, true);
    view.setUint8(instruction + 2, isTrue);
    view.setUint8(instruction + 3, isFalse);
    view.setUint32(instruction + 4, number, true);
  }
  const octets = new Uint8Array(PROGRAM_SIZE);
  const value = new DataView(octets.buffer);
  value.setUint16(0, program.length, true);
  value.setBigUint64(8, BigInt(systemCalls.base + at), true);
  succeed(what, systemCalls.setsockopt(descriptor, SOL_SOCKET, option, octets));
}
