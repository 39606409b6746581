import { chmodSync, lstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ControlClient } from "../../src/control/client.ts";
import { ControlServer } from "../../src/control/server.ts";
import { FakeDaemon, STATUS } from "./fake-daemon.ts";

const NOBODY = 65_534;

let folder: string;
let path: string;
let server: ControlServer | undefined;
let daemon: FakeDaemon;
let client: ControlClient;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-control-"));
  path = join(folder, "run", "ikebana.sock");
  server = await ControlServer.listen(path);
  daemon = new FakeDaemon();
  server.serve(daemon);
  client = new ControlClient(path);
});

afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

describe("a client", () => {
  test("reads the status", async () => {
    expect(await client.status()).toEqual(STATUS);
  });

  test("brings connections up and down and asks them for life", async () => {
    expect(await client.up("office")).toEqual({ kind: "done", message: "office is established" });
    expect(await client.down("office")).toEqual({ kind: "done", message: "office is down" });
    expect(await client.liveness("office")).toEqual({ kind: "alive", rttMs: 1.5 });
    expect(await client.rekey("office", "children")).toMatchObject({ kind: "done" });
    expect(await client.rekey("office", "ike")).toMatchObject({ kind: "done" });
    expect(daemon.asked).toEqual([
      "up office",
      "down office",
      "liveness office",
      "rekey office children",
      "rekey office ike",
    ]);
  });

  test("sends clients elsewhere, whatever they and the gateway are called", async () => {
    expect(await client.redirect("anna", "192.0.2.7")).toMatchObject({ kind: "done" });
    await client.redirect("HOME\\a b?to=x", "2001:db8::7&to=y");
    expect(daemon.asked.at(-1)).toBe("redirect HOME\\a b?to=x 2001:db8::7&to=y");
  });

  test("disconnects users, whatever they are called", async () => {
    expect(await client.disconnect("anna")).toEqual({ kind: "done", message: "anna is disconnected" });
    expect(await client.disconnect("nobody")).toMatchObject({ kind: "failed", reason: "not-established" });
    await client.disconnect("HOME\\../a b/disconnect?");
    expect(daemon.asked.at(-1)).toBe("disconnect HOME\\../a b/disconnect?");
  });

  test("gets a refusal as a value, with its reason", async () => {
    expect(await client.up("nowhere")).toEqual({
      kind: "failed",
      reason: "unknown-connection",
      message: 'there is no connection "nowhere"',
    });
  });

  test("may use any name without leaving its place in the path", async () => {
    for (const name of ["../status", "a/b", "ü?x#y%2f", " ", "up/down"]) await client.up(name);
    expect(daemon.asked).toEqual(
      ["../status", "a/b", "ü?x#y%2f", " ", "up/down"].map((name) => `up ${name}`),
    );
  });

  test("reloads and stops; the stop begins when the answer is out", async () => {
    expect(await client.reload()).toMatchObject({ kind: "done" });
    expect(await client.stop()).toMatchObject({ kind: "done" });
    expect(daemon.asked).toEqual(["reload", "stop"]);
  });

  test("reads the log, as many lines as it wants", async () => {
    daemon.say("one");
    daemon.say("two");
    daemon.say("three");
    expect(await logMessages(1000)).toEqual(["one", "two", "three"]);
    expect(await logMessages(2)).toEqual(["two", "three"]);
  });

  test("follows the log until the daemon ends", async () => {
    daemon.say("before");
    const heard: string[] = [];
    const following = client.logs({
      lines: 1000,
      follow: true,
      onRecord: ({ message }) => heard.push(message),
    });
    await until(() => daemon.followerCount === 1 && heard.length === 1);
    daemon.say("after");
    await until(() => heard.length === 2);
    await server?.close();
    await following;
    expect(heard).toEqual(["before", "after"]);
    await until(() => daemon.followerCount === 0);
  });

  test("is told that nobody is there", async () => {
    await server?.close();
    await expect(client.status()).rejects.toMatchObject({
      code: "NOT_RUNNING",
      message: `ikebana is not running (no socket at ${path})`,
    });
  });

  test("is told when the daemon throws", async () => {
    daemon.statusError = new Error("the worker is gone");
    await expect(client.status()).rejects.toThrow("the worker is gone");
  });

  test("is told that the daemon is starting", async () => {
    await server?.close();
    server = await ControlServer.listen(path);
    await expect(client.status()).rejects.toThrow("ikebana is still starting");
  });
});

describe("the socket", () => {
  test("is for its owner and group", () => {
    expect(lstatSync(path).mode & 0o777).toBe(0o660);
  });

  test("leaves no file when it closes", async () => {
    await server?.close();
    expect(readdirSync(join(folder, "run"))).toEqual([]);
  });

  test("is not taken from a living daemon", async () => {
    await expect(ControlServer.listen(path)).rejects.toMatchObject({
      code: "EADDRINUSE",
      message: `another ikebana is running: its socket ${path} answers`,
    });
    expect(await client.status()).toEqual(STATUS);
  });

  test("of a dead daemon is replaced", async () => {
    const stale = join(folder, "stale.sock");
    await leaveStaleSocket(stale);
    expect(lstatSync(stale).isSocket()).toBe(true);
    const next = await ControlServer.listen(stale);
    next.serve(daemon);
    expect(await new ControlClient(stale).status()).toEqual(STATUS);
    await next.close();
  });

  test("does not replace a file that is no socket", async () => {
    const file = join(folder, "precious");
    writeFileSync(file, "keep me");
    await expect(ControlServer.listen(file)).rejects.toMatchObject({ code: "EEXIST" });
  });

  test("that a successor has put in our place stays when we close", async () => {
    rmSync(path);
    const successor = await ControlServer.listen(path);
    successor.serve(daemon);
    await server?.close();
    server = successor;
    expect(await client.status()).toEqual(STATUS);
  });

  test("has a path that fits", async () => {
    await expect(ControlServer.listen(join(folder, "x".repeat(200)))).rejects.toMatchObject({
      code: "ENAMETOOLONG",
    });
  });

  test("that we may not open is a matter of permission", async () => {
    chmodSync(path, 0);
    chmodSync(folder, 0o755);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(NOBODY); // root passes every door
    try {
      await expect(client.status()).rejects.toMatchObject({ code: "EACCES" });
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });
});

describe("a request that makes no sense", () => {
  test.each([
    ["GET", "/", 404],
    ["GET", "/v2/status", 404],
    ["GET", "/v1", 404],
    ["GET", "/v1/status/more", 404],
    ["GET", "/v1/connections/a/b/c", 404],
    ["POST", "/v1/connections/office", 404],
    ["POST", "/v1/connections//up", 404],
    ["POST", "/v1/connections/office/renew", 404],
    ["GET", "/v1/%zz", 400],
    ["POST", "/v1/status", 405],
    ["DELETE", "/v1/logs", 405],
    ["GET", "/v1/stop", 405],
    ["GET", "/v1/reload", 405],
    ["GET", "/v1/connections/office/down", 405],
    ["PUT", "/v1/connections/office/up", 405],
  ])("%s %s is answered with %i", async (method, url, status) => {
    const answer = await ask({ method, url });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toMatchObject({ kind: "failed", reason: "other" });
    expect(daemon.asked).toEqual([]);
  });

  test("is told which method is right", async () => {
    expect((await ask({ method: "GET", url: "/v1/stop" })).allow).toBe("POST");
  });

  test("with a body that is too large is refused, announced or not", async () => {
    const announced = await ask({
      method: "POST",
      url: "/v1/stop",
      body: Buffer.alloc(70_000),
      announce: true,
    });
    const streamed = await ask({
      method: "POST",
      url: "/v1/stop",
      body: Buffer.alloc(5_000_000),
      announce: false,
    });
    expect([announced.status, streamed.status]).toEqual([413, 413]);
    expect(daemon.asked).toEqual([]);
    expect(await client.status()).toEqual(STATUS);
  });

  test("may carry a body of ordinary size", async () => {
    expect(
      (await ask({ method: "POST", url: "/v1/reload", body: Buffer.from("{}"), announce: true })).status,
    ).toBe(200);
  });

  test("that is not HTTP, or breaks off, harms nobody", async () => {
    const noise = [
      "\0\0\0\0",
      "GET",
      "GET /v1/status HTTP/1.1\r\n",
      "\r\n\r\n",
      `GET /${"x".repeat(100_000)} HTTP/1.1\r\n\r\n`,
    ];
    await Promise.all(noise.map(throwAt));
    expect(await client.status()).toEqual(STATUS);
  });
});

test("an answer that is not JSON is an error, not a crash", async () => {
  const other = join(folder, "other.sock");
  const liar = createServer((socket) => {
    socket.resume();
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  });
  await new Promise<void>((resolve) => liar.listen(other, resolve));
  await expect(new ControlClient(other).status()).rejects.toMatchObject({ code: "CONTROL" });
  await new Promise((resolve) => liar.close(resolve));
});

async function logMessages(lines: number): Promise<string[]> {
  const messages: string[] = [];
  await client.logs({ lines, follow: false, onRecord: ({ message }) => messages.push(message) });
  return messages;
}

interface Ask {
  readonly method: string;
  readonly url: string;
  readonly body?: Buffer;
  readonly announce?: boolean;
}

/** One request, and its answer even when the server stops reading. */
function ask({
  method,
  url,
  body,
  announce = false,
}: Ask): Promise<{ status: number | undefined; body: string; allow: string | undefined }> {
  return new Promise((resolve, reject) => {
    const headers = announce && body !== undefined ? { "content-length": body.length } : {};
    const outgoing = request({ socketPath: path, method, path: url, headers, agent: false });
    let isAnswered = false;
    outgoing.once("response", async (response) => {
      isAnswered = true;
      const chunks: string[] = [];
      try {
        for await (const chunk of response.setEncoding("utf8")) chunks.push(chunk as string);
      } catch {
        // Cut off while we were still sending.
      }
      resolve({ status: response.statusCode, body: chunks.join(""), allow: response.headers.allow });
    });
    outgoing.on("error", (error) => {
      if (!isAnswered) reject(error);
    });
    outgoing.end(body);
  });
}

function throwAt(text: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = createConnection(path, () => {
      socket.write(text);
      setTimeout(() => socket.destroy(), 50);
    });
    socket.once("error", () => {});
    socket.once("close", () => resolve());
  });
}

/** A server that ends without its socket file: renamed away before it closes. */
async function leaveStaleSocket(at: string): Promise<void> {
  const { renameSync } = await import("node:fs");
  const dead = createServer();
  await new Promise<void>((resolve) => dead.listen(`${at}.first`, resolve));
  renameSync(`${at}.first`, at);
  await new Promise((resolve) => dead.close(resolve));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
