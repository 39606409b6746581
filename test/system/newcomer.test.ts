import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ControlClient } from "../../src/control/client.ts";
import type { IkeSaStatus } from "../../src/engine/status.ts";
import { HostProcess } from "../support/host-process.ts";
import { createJoinedHosts, type JoinedHosts, requireRoot } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";

// What the README tells a newcomer to type, and nothing else:
//
//   [ client ] 192.0.2.2 -------- 192.0.2.1 [ gateway ] 198.51.100.1 inside

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const PASSWORD = "correct horse battery";

/** A server at the client's outer address, and somebody inside the gateway's network who visits it from outside. */
const GREET =
  'require("net").createServer((s) => s.end("hello")).listen(+process.argv[1], "192.0.2.2", () => console.log("ready"))';
const VISIT = `const socket = require("net").connect({ host: "192.0.2.2", port: +process.argv[1], localAddress: "198.51.100.1" });
setTimeout(() => socket.destroy(), +process.argv[2]);
socket.on("data", (data) => process.stdout.write(data)).on("error", () => {}).on("close", () => process.exit());`;

const mayRun = requireRoot("a newcomer's gateway");

describe.skipIf(!mayRun)("a newcomer's gateway", () => {
  if (!mayRun) return;
  let folder: string;
  let hosts: JoinedHosts;
  let gateway: HostProcess;
  let control: ControlClient;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "ikebana-newcomer-"));
    hosts = await createJoinedHosts({
      left: ["192.0.2.1/24", "198.51.100.1/32"],
      right: ["192.0.2.2/24"],
    });
    // The DNS of this little world; and what is written to /etc and /run is each host's own.
    writeFileSync(join(folder, "hosts"), "127.0.0.1 localhost\n192.0.2.1 vpn.example.org\n");
    writeFileSync(join(folder, "resolv.conf"), "nameserver 192.0.2.53\n");
    for (const host of [hosts.left, hosts.right]) {
      host.run("mount", ["--bind", join(folder, "hosts"), "/etc/hosts"]);
    }
    hosts.right.run("mount", ["--bind", join(folder, "resolv.conf"), "/etc/resolv.conf"]);
    const { status, stderr } = typed(hosts.left, PASSWORD, [
      ...["setup", "--domain", "vpn.example.org", "--user", "anna", "--self-signed", "--password-stdin"],
      ...["-c", configFile(), "--letsencrypt", join(folder, "none"), "-s", socketOf("gateway")],
    ]);
    expect([status, stderr]).toEqual([0, expect.stringContaining("written:")]);
    writeFileSync(configFile(), `socket: gateway.sock\nstate: gateway-state\n`, { flag: "a" });
    gateway = new HostProcess(hosts.left, [process.execPath, MAIN, "up", "-c", configFile()]);
    await until("the gateway is ready", () => gateway.out.includes("ready:"));
    control = new ControlClient(socketOf("gateway"));
  });

  afterAll(async () => {
    await gateway?.stop();
    await hosts?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function configFile(): string {
    return join(folder, "ikebana.yaml");
  }

  function socketOf(side: string): string {
    return join(folder, `${side}.sock`);
  }

  function typed(host: JoinedHosts["left"], input: string, words: readonly string[]) {
    return host.run(process.execPath, [MAIN, ...words], { input: `${input}\n` });
  }

  function connectWords(user: string, domain = "vpn.example.org"): readonly string[] {
    return [
      ...["connect", domain, "--user", user, "--password-stdin"],
      ...[
        "--ca",
        join(folder, "certificates/ca.pem"),
        "-s",
        socketOf("client"),
        "--state",
        join(folder, "state"),
      ],
    ];
  }

  /** `ikebana connect`, with the password at its standard input. */
  function connect(domain?: string, environment: Readonly<Record<string, string>> = {}): HostProcess {
    const line = [process.execPath, MAIN, ...connectWords("anna", domain)]
      .map((word) => `'${word}'`)
      .join(" ");
    return new HostProcess(hosts.right, ["sh", "-c", `echo '${PASSWORD}' | ${line}`], environment);
  }

  async function clients(): Promise<readonly IkeSaStatus[]> {
    return (await control.status()).connections[0]?.clients ?? [];
  }

  /** Until three are answered; ping waits for each. */
  function pings(): string {
    return hosts.right.run("ping", ["-c", "3", "-i", "0.02", "-w", "10", "198.51.100.1"]).stdout;
  }

  test("lets the user in, who reaches what is inside, and is gone when disabled", async () => {
    const client = connect();
    await until("the client is connected", () => client.error.includes("connected with vpn.example.org"));
    expect(pings()).toContain("3 received");
    const [anna, ...others] = await clients();
    expect(others).toEqual([]);
    expect(anna).toMatchObject({ user: "anna", remote: { address: "192.0.2.2" } });
    expect(anna?.internalAddresses).toHaveLength(2);
    expect(anna).not.toHaveProperty("weak");

    expect(typed(hosts.left, "", ["users", "disable", "anna", "-c", configFile()]).status).toBe(0);
    await until("nobody is connected", async () => (await clients()).length === 0);
    await new ControlClient(socketOf("client")).stop();
    await client.ended;
    expect(hosts.right.run("ip", ["-o", "link"]).stdout).not.toContain("ikebana0");

    expect(typed(hosts.left, "", ["users", "enable", "anna", "-c", configFile()]).status).toBe(0);
  });

  test.each([
    ["a wrong password", "anna", "wrong"],
    ["somebody whom nobody knows", "berta", PASSWORD],
  ])("does not let %s in, and the client says so: 4", (_, user, password) => {
    const { status, stdout } = typed(hosts.right, password, connectWords(user));
    expect([status, stdout]).toEqual([4, expect.stringContaining("AUTHENTICATION_FAILED")]);
  });

  test("is refused by a client that does not trust its CA: 7", () => {
    const words = connectWords("anna").filter(
      (word, index, all) => word !== "--ca" && all[index - 1] !== "--ca",
    );
    const { status, stdout } = typed(hosts.right, PASSWORD, words);
    expect([status, stdout]).toEqual([7, expect.stringContaining("is not trusted")]);
  });

  test("leaves a client the SSH session that connect is typed in, and nothing else outside of the tunnel", async () => {
    hosts.right.run("ip", ["route", "add", "default", "via", "192.0.2.1"]);
    const servers = ["2222", "2223"].map(
      (port) => new HostProcess(hosts.right, [process.execPath, "-e", GREET, port]),
    );
    await until("they listen", () => servers.every(({ out }) => out.includes("ready")));
    const visit = (port: string, patienceMs: number) =>
      hosts.left.run(process.execPath, ["-e", VISIT, port, String(patienceMs)]).stdout;
    const visits = (patienceMs = 10_000) => [visit("2222", 10_000), visit("2223", patienceMs)];
    expect(visits()).toEqual(["hello", "hello"]);
    const client = connect("vpn.example.org", { SSH_CONNECTION: "198.51.100.1 50000 192.0.2.2 2222" });
    await until("the client is connected", () => client.error.includes("connected with"));
    expect(client.error).toContain("answers of the SSH server on port 2222 go past the tunnel");
    expect(visits(700)).toEqual(["hello", ""]);
    expect(pings()).toMatch(/[1-3] received/);
    // A kill switch would cut off what goes past the tunnel, and says so; what goes through it stays.
    const killSwitch = (sshPort: string, ...words: readonly string[]) =>
      hosts.right.run(
        process.execPath,
        [MAIN, "killswitch", ...words, "-c", join(folder, "client.yaml"), "--units", join(folder, "none")],
        { env: { SSH_CONNECTION: `198.51.100.1 50000 192.0.2.2 ${sshPort}` } },
      );
    const on = ["on", "--yes", "--gateway", "192.0.2.1"];
    expect(killSwitch("2222", ...on).stderr).toContain(
      "you are here by SSH from 198.51.100.1, and not through the tunnel",
    );
    expect(visit("2222", 700)).toBe("");
    expect(killSwitch("2223", ...on)).toMatchObject({ status: 0, stderr: "" });
    expect(killSwitch("2223", "off").status).toBe(0);
    expect(visit("2222", 10_000)).toBe("hello");
    await new ControlClient(socketOf("client")).stop();
    await client.ended;
    expect(visits()).toEqual(["hello", "hello"]);
    expect(hosts.right.run("ip", ["rule"]).stdout).not.toContain("2222");
    await Promise.all(servers.map((server) => server.stop()));
  });

  test("may have an address in the place of a domain name, which its certificate then is for", async () => {
    await gateway.stop();
    const { status, stderr } = typed(hosts.left, PASSWORD, [
      ...["setup", "--domain", "192.0.2.1", "--user", "anna", "--self-signed", "--password-stdin", "--force"],
      ...["-c", configFile(), "--letsencrypt", join(folder, "none"), "-s", socketOf("gateway")],
    ]);
    expect([status, stderr]).toEqual([0, expect.stringContaining("written:")]);
    writeFileSync(configFile(), `socket: gateway.sock\nstate: gateway-state\n`, { flag: "a" });
    gateway = new HostProcess(hosts.left, [process.execPath, MAIN, "up", "-c", configFile()]);
    await until("the gateway is ready", () => gateway.out.includes("ready:"));
    const client = connect("192.0.2.1");
    await until("the client is connected", () => client.error.includes("connected with 192.0.2.1"), {
      describe: () => `${client.out}${client.error}${gateway.out}`,
    });
    expect(pings()).toContain("3 received");
    await new ControlClient(socketOf("client")).stop();
    await client.ended;
  });
});
