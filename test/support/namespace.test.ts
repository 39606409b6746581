import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { createHost, createJoinedHosts, requireRoot } from "./namespace.ts";

describe.skipIf(!requireRoot("hosts in namespaces"))("hosts", () => {
  test("alone, a host has nothing but its loopback link", async () => {
    const host = await createHost();
    const network = host.inside(() => new LinuxNetwork(createLinuxSystemCalls()));
    expect(network.links().map(({ name, isUp }) => ({ name, isUp }))).toEqual([{ name: "lo", isUp: true }]);
    network.close();
    expect(host.run("sleep", ["60"], { timeoutMs: 50 }).status).toBe(-1);
    await host.close();
  });

  test("has a resolver's file of its own, which begins as that of the machine", async () => {
    const ours = (): string => readFileSync("/etc/resolv.conf", "utf8");
    const before = ours();
    const host = await createHost();
    expect(host.run("cat", ["/etc/resolv.conf"]).stdout).toBe(before);
    host.run("sh", ["-c", "echo 'nameserver 192.0.2.1' >/etc/resolv.conf"]);
    expect(host.run("cat", ["/etc/resolv.conf"]).stdout).toBe("nameserver 192.0.2.1\n");
    expect(ours()).toBe(before);
    await host.close();
  });

  test("reach each other, keep their mounts to themselves and end with all they started", async () => {
    const hosts = await createJoinedHosts({
      left: ["192.0.2.1/24", "2001:db8::1/64"],
      right: ["192.0.2.2/24", "2001:db8::2/64"],
    });
    const { left, right } = hosts;
    try {
      const network = right.inside(() => new LinuxNetwork(createLinuxSystemCalls()));
      expect(network.lookUpRoute("192.0.2.1")).toEqual({ source: "192.0.2.2", link: "wire0" });
      network.close();

      const script = `
        const socket = require("node:dgram").createSocket("udp6");
        socket.on("message", (message) => { console.log(String(message)); socket.close(); });
        socket.bind(4500, "2001:db8::2", () => console.log("ready"));`;
      const server = right.start(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
      await once(server.stdout!, "data");
      const heard = once(server.stdout!, "data");
      const client = left.run(process.execPath, [
        "-e",
        `const socket = require("node:dgram").createSocket("udp6");
         socket.send("through the wire", 4500, "2001:db8::2", () => socket.close());`,
      ]);
      expect(client).toEqual({ status: 0, stdout: "", stderr: "" });
      expect(String((await heard)[0]).trim()).toBe("through the wire");

      expect(left.run("mount", ["-t", "tmpfs", "none", "/mnt"]).status).toBe(0);
      expect(left.run("touch", ["/mnt/only-here"]).status).toBe(0);
      expect(left.run("test", ["-e", "/mnt/only-here"]).status).toBe(0);
      expect(right.run("test", ["-e", "/mnt/only-here"]).status).toBe(1);
      expect(existsSync("/mnt/only-here")).toBe(false);
    } finally {
      const sleeper = left.start("sleep", ["infinity"], { stdio: "ignore" });
      await once(sleeper, "spawn");
      expect(left.run("sh", ["-c", "sleep infinity >/dev/null 2>&1 &"]).status).toBe(0); // a daemon
      await hosts.close();
      expect(sleeper.signalCode).toBe("SIGKILL");
    }
    for (const { pid } of [left, right]) expect(existsSync(`/proc/${pid}/ns/net`)).toBe(false);
  });
});
