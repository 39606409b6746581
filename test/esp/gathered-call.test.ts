import { expect, test } from "vitest";
import { GatheredCall } from "../../src/esp/gathered-call.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("whatever asks in one turn of the event loop is one call, and the next turn has its own", async () => {
  let calls = 0;
  const gathered = new GatheredCall(() => calls++);
  gathered.ask();
  gathered.ask();
  await Promise.resolve().then(() => gathered.ask());
  expect(calls).toBe(0);
  await turn();
  expect(calls).toBe(1);
  await turn();
  expect(calls).toBe(1);
  gathered.ask();
  await turn();
  expect(calls).toBe(2);
});

test("what asks from within the call is a call of its own", async () => {
  let calls = 0;
  const gathered: GatheredCall = new GatheredCall(() => {
    if (++calls === 1) gathered.ask();
  });
  gathered.ask();
  await turn();
  await turn();
  expect(calls).toBe(2);
});
