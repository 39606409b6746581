import { createRequire } from "node:module";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";

vi.mock("node:module", async (original) => {
  const module = await original<typeof import("node:module")>();
  return { ...module, createRequire: vi.fn(module.createRequire) };
});

/** Runs `action` on a machine that differs in one property. */
function pretending<T>(property: "platform" | "arch", value: string, action: () => T): T {
  const real = Object.getOwnPropertyDescriptor(process, property)!;
  Object.defineProperty(process, property, { ...real, value });
  try {
    return action();
  } finally {
    Object.defineProperty(process, property, real);
  }
}

describe("system calls", () => {
  afterEach(() => vi.clearAllMocks());

  // These come first: what is loaded once stays loaded.
  test("say that they need Linux", () => {
    expect(() => pretending("platform", "darwin", createLinuxSystemCalls)).toThrow(
      expect.objectContaining({ name: "PlatformError", message: "packets need Linux; this is darwin" }),
    );
  });

  test("say which processors they know", () => {
    expect(() => pretending("arch", "riscv64", createLinuxSystemCalls)).toThrow(
      expect.objectContaining({
        name: "PlatformError",
        message: "packets need an x86-64 or arm64 processor; this is riscv64",
      }),
    );
  });

  test.skipIf(process.platform !== "linux")("say that koffi is missing, and keep the cause", () => {
    const cause = new Error("Cannot find module 'koffi'");
    vi.mocked(createRequire).mockImplementationOnce(() => {
      throw cause;
    });
    expect(() => createLinuxSystemCalls()).toThrow(
      expect.objectContaining({ name: "PlatformError", message: expect.stringContaining('"koffi"'), cause }),
    );
  });

  test.skipIf(process.platform !== "linux")(
    "answer with the negated errno, and leave memory where it is",
    () => {
      const memory = { buffer: new SharedArrayBuffer(65_536) };
      const systemCalls = createLinuxSystemCalls(memory);
      expect(systemCalls.open("/nowhere/at/all", 0)).toBe(-2);
      expect(systemCalls.close(-1)).toBe(-9);
      expect(systemCalls.read(-1, 0, 10)).toBe(-9);

      const zeros = systemCalls.open("/dev/zero", 0);
      const octets = new Uint8Array(memory.buffer).fill(0xee);
      expect(systemCalls.read(zeros, 100, 50)).toBe(50);
      expect([...octets.subarray(99, 151)]).toEqual([0xee, ...new Array(50).fill(0), 0xee]);
      expect(systemCalls.close(zeros)).toBe(0);
      expect(createLinuxSystemCalls(memory).base).toBe(systemCalls.base);
    },
  );
});
