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
const SECRET = "between gateway and server";
const USERS = `
anna Cleartext-Password := "open sesame"
    Framed-IP-Address = 10.77.0.7
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
radius: { servers: [{ address: 127.0.0.1, secret: "${SECRET}" }] }
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
    expect(hosts.right.run("ping", ["-c", "3", "-i", "0.02", "-W", "2", "10.77.0.1"]).stdout).toContain(
      "3 received",
    );
    await new ControlClient(join(folder, "client.sock")).stop();
    await client.ended;
    await until(
      "nobody is connected",
      async () => (await gateway.connection("gateway")).clients?.length === 0,
    );
  });

  test("lets nobody in with a wrong password", async () => {
    const client = connect("close sesame");
    expect(await client.ended).toMatchObject({ code: 4 });
    expect((await gateway.connection("gateway")).clients).toEqual([]);
  });
});
