import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { createSharedMemory } from "../../src/esp/kernel.ts";
import { MailDrain } from "../../src/esp/mail-drain.ts";
import { MailboxReader, MailboxWriter } from "../../src/esp/mailbox.ts";

const WORKER = 1;

/** Fills the mailbox as fast as it can, for as long as it lives. */
const FLOOD = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { memory, worker, mailboxUrl } = workerData;
  import(mailboxUrl).then(({ MailboxWriter }) => {
    const writer = new MailboxWriter(memory, worker);
    const local = { address: "192.0.2.2", port: 500 };
    const remote = { address: "192.0.2.1", port: 500 };
    parentPort.postMessage("begun");
    for (;;) writer.put({ address: 0, length: 28, local, remote, isStranger: false });
  });
`;

test("a mailbox that fills as fast as it is read leaves time for everything else", async () => {
  const memory = createSharedMemory();
  const mailboxUrl = new URL("../../dist/src/esp/mailbox.js", import.meta.url).href;
  const flood = new Worker(FLOOD, { eval: true, workerData: { memory, worker: WORKER, mailboxUrl } });
  try {
    await new Promise((resolve, reject) => {
      flood.once("message", resolve);
      flood.once("error", reject);
    });
    let count = 0;
    const slowUntil = performance.now() + 20_000;
    const drain = new MailDrain(new MailboxReader(memory, WORKER), () => {
      count++;
      // As long as a datagram for nobody takes, so that the flood is always ahead.
      for (const end = performance.now() + 0.02; performance.now() < end && end < slowUntil; );
    });
    drain.ring();
    for (let timers = 0; timers < 10; timers++) {
      const before = count;
      drain.ring(); // the bell goes on ringing, and begins no second round beside the first
      await new Promise((resolve) => setTimeout(resolve, 1));
      expect(count - before).toBeLessThan(100_000);
    }
    expect(count).toBeGreaterThan(256);
  } finally {
    await flood.terminate();
  }
});

test("what is put in while the mailbox is read is found without a bell, and what comes later rings again", () => {
  const memory = createSharedMemory();
  const writer = new MailboxWriter(memory, WORKER);
  const local = { address: "192.0.2.2", port: 500 };
  const remote = { address: "192.0.2.1", port: 500 };
  const put = (): boolean => {
    writer.put({ address: 0, length: 28, local, remote, isStranger: false });
    return writer.shouldRing();
  };
  const rings: boolean[] = [];
  const drain = new MailDrain(new MailboxReader(memory, WORKER), () => {
    if (rings.length < 5) rings.push(put());
  });
  expect(put()).toBe(true);
  drain.ring();
  expect(rings).toEqual([false, false, false, false, false]);
  expect([put(), put()]).toEqual([true, false]);
});

test("what lies behind a datagram that made its handler throw is found, and what comes later rings again", async () => {
  const memory = createSharedMemory();
  const writer = new MailboxWriter(memory, WORKER);
  const end = { address: "192.0.2.2", port: 500 };
  const put = (): boolean => {
    writer.put({ address: 0, length: 28, local: end, remote: end, isStranger: false });
    return writer.shouldRing();
  };
  let taken = 0;
  const drain = new MailDrain(new MailboxReader(memory, WORKER), () => {
    if (taken++ === 0) throw new Error("a fault of ours");
  });
  expect([put(), put()]).toEqual([true, false]);
  expect(() => drain.ring()).toThrow("a fault of ours");
  await new Promise((resolve) => setImmediate(resolve));
  expect(taken).toBe(2);
  expect(put()).toBe(true);
});
