import type { SharedMemory, SystemCalls } from "../../src/platform/system-calls/system-calls.ts";

type CallName = Exclude<keyof SystemCalls, "memory" | "base">;

/** A call that was made, by name, with its plain arguments. */
export interface RecordedCall {
  readonly name: CallName;
  readonly values: readonly unknown[];
}

/**
 * System calls without a system: each answers what was planned for it, in order, and the last answer again and again. A call
 * without a plan succeeds with 0. An answer may be a function, which can fill the octets it was given.
 */
export class FaultySystemCalls {
  readonly calls: RecordedCall[] = [];
  readonly systemCalls: SystemCalls;

  constructor(
    memory: SharedMemory,
    plan: Readonly<Partial<Record<CallName, readonly Answer[]>>>,
    { base = 0x7f12_3456_7000 }: { readonly base?: number } = {},
  ) {
    const answers = new Map(Object.entries(plan).map(([name, list]) => [name, [...list]]));
    const answer = (name: CallName, values: readonly unknown[]): number => {
      this.calls.push({ name, values });
      const planned = answers.get(name) ?? [0];
      const next = planned.length > 1 ? planned.shift()! : (planned[0] ?? 0);
      return typeof next === "function" ? next(...values) : next;
    };
    this.systemCalls = new Proxy({ memory, base } as SystemCalls, {
      get: (target, name: string) =>
        name in target
          ? Reflect.get(target, name)
          : (...values: unknown[]) => answer(name as CallName, values),
    });
  }

  /** The arguments of every call of that name. */
  of(name: CallName): (readonly unknown[])[] {
    return this.calls.filter((call) => call.name === name).map(({ values }) => values);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: each call has arguments of its own
export type Answer = number | ((...values: any[]) => number);
