import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ControlClient } from "../../src/control/client.ts";
import { createOwnAuthority } from "../../src/setup/own-authority.ts";
import { type Freeradius, requireFreeradius, startFreeradius } from "../support/freeradius.ts";
import { HostProcess } from "../support/host-process.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { createJoinedHosts, type JoinedHosts, requireRoot } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";

// [ client ] 192.0.2.2 -------- 192.0.2.1 [ gateway, FreeRADIUS at 127.0.0.1 ]
//
// The gateway knows no user: FreeRADIUS says who comes in, and with which address.

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
/** An IPv4 packet of `ping`. */
const ECHO_LENGTH = 84;
const SECRET = "between gateway and server";
const USERS = `
anna Cleartext-Password := "open sesame"
    Framed-IP-Address = 10.77.0.7,
    Class = 0x7374616666
`;

const what = "a gateway whose users FreeRADIUS knows";
const canRun = requireRoot(what) && requireFreeradius(what);

describe.runIf(canRun)(what, () => {
  let folder: string;
  let hosts: JoinedHosts;
  let freeradius: Freeradius;
  let gateway: IkebanaDaemon;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "ikebana-radius-"));
    hosts = await createJoinedHosts({ left: ["192.0.2.1/24"], right: ["192.0.2.2/24"] });
    writeFileSync(join(folder, "hosts"), "192.0.2.1 vpn.example.org\n");
    hosts.right.run("mount", ["--bind", join(folder, "hosts"), "/etc/hosts"]);
    const tls = await createOwnAuthority("vpn.example.org", Date.now());
    for (const [name, text] of [
      ["full.pem", tls.certificate],
      ["key.pem", tls.key],
      ["ca.pem", tls.authority],
    ] as const)
      writeFileSync(join(folder, name), text, { mode: 0o600 });
    freeradius = await startFreeradius({
      host: hosts.left,
      secret: SECRET,
      users: USERS,
      tls: { certificate: tls.certificate, key: tls.key, ca: tls.authority },
    });
    gateway = await startIkebana(
      hosts.left,
      `gateway:
  domain: vpn.example.org
  certificate: full.pem
  key: key.pem
  auth: radius
  pool: 10.77.0.0/24
radius: { servers: [{ address: 127.0.0.1, secret: "${SECRET}" }], accounting: { interim: 1s } }
socket: ikebana.sock
state: state
`,
      { directory: folder, keepDirectory: true },
    );
  });

  afterAll(async () => {
    await gateway?.stop();
    await freeradius?.stop();
    await hosts?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function ping(count: number): void {
    const { stdout } = hosts.right.run("ping", [
      ...["-c", String(count), "-i", "0.02", "-W", "2", "10.77.0.1"],
    ]);
    expect(stdout).toContain(`${count} received`);
  }

  /** Attributes of the accounting records of one kind, as FreeRADIUS has written them down. */
  function records(status: string): readonly Record<string, string>[] {
    return freeradius.detail
      .split("\n\n")
      .map((text) =>
        Object.fromEntries(
          [...text.matchAll(/^\t([\w-]+) = "?([^"\n]*)"?$/gm)].map(([, name, value]) => [name!, value!]),
        ),
      )
      .filter((record) => record["Acct-Status-Type"] === status);
  }

  function connect(password: string): HostProcess {
    const words = [
      ...[MAIN, "connect", "vpn.example.org", "--user", "anna", "--password-stdin"],
      ...["--ca", join(folder, "ca.pem"), "--network", "10.77.0.0/24"],
      ...["-s", join(folder, "client.sock"), "--state", join(folder, "client-state")],
    ];
    const line = [process.execPath, ...words].map((word) => `'${word}'`).join(" ");
    return new HostProcess(hosts.right, ["sh", "-c", `echo '${password}' | ${line}`]);
  }

  test("lets in whom the server lets in, with the address that the server says", async () => {
    const client = connect("open sesame");
    await until("the client is connected", () => client.error.includes("connected with"), {
      describe: () => `${client.out}${gateway.log}`,
    });
    const { clients } = await gateway.connection("gateway");
    expect(clients).toMatchObject([{ user: "anna", internalAddresses: ["10.77.0.7"] }]);
    ping(3);
    const control = new ControlClient(join(folder, "client.sock"));
    // The records go on over child SAs and an IKE SA that count from nothing.
    const [{ name } = { name: "" }] = (await control.status()).connections;
    await control.rekey(name, "children");
    ping(4);
    await control.rekey(name, "ike");
    await control.rekey(name, "children");
    ping(2);
    await until("updates have come", () => records("Interim-Update").length > 0);
    await control.stop();
    await client.ended;
    await until(
      "nobody is connected",
      async () => (await gateway.connection("gateway")).clients?.length === 0,
    );
    await until("the server has the last record", () => records("Stop").length > 0);
    const [start, update, stop] = ["Start", "Interim-Update", "Stop"].map(
      (status) => records(status).at(-1)!,
    );
    const whose = { "User-Name": "anna", "Framed-IP-Address": "10.77.0.7", Class: "0x7374616666" };
    for (const record of [start, update, stop]) {
      expect(record).toMatchObject({ ...whose, "Acct-Session-Id": start!["Acct-Session-Id"] });
    }
    expect(stop).toMatchObject({
      "Acct-Terminate-Cause": "User-Request",
      "Acct-Input-Packets": "9",
      "Acct-Output-Packets": "9",
      "Acct-Input-Octets": String(9 * ECHO_LENGTH),
      "Acct-Output-Octets": String(9 * ECHO_LENGTH),
      "Acct-Input-Gigawords": "0",
    });
    expect(Number(update!["Acct-Input-Octets"])).toBeLessThanOrEqual(9 * ECHO_LENGTH);
    expect(start).not.toHaveProperty("Acct-Input-Octets");
  });

  test("lets nobody in with a wrong password", async () => {
    const client = connect("close sesame");
    expect(await client.ended).toMatchObject({ code: 4 });
    expect((await gateway.connection("gateway")).clients).toEqual([]);
  });
});
