import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ControlClient } from "../../src/control/client.ts";
import { writePem } from "../../src/pki/pem.ts";
import { lab } from "../eap/certificates.ts";
import { type Freeradius, requireFreeradius, startFreeradius } from "../support/freeradius.ts";
import { HostProcess } from "../support/host-process.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { createJoinedHosts, type JoinedHosts, requireRoot } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";

// [ client ] 192.0.2.2 -------- 192.0.2.1 [ gateway, FreeRADIUS at 127.0.0.1 ]
//
// The gateway knows no user: FreeRADIUS says who comes in, with which address, and until when; and is told what they use.

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const DOMAIN = "gw.example.org";
/** An IPv4 packet of `ping`. */
const ECHO_LENGTH = 84;
const SECRET = "between gateway and server";
const USERS = `
anna Cleartext-Password := "open sesame"
    Framed-IP-Address = 10.77.0.7,
    Class = 0x7374616666
`;
const WHOSE = { "User-Name": "anna", "Framed-IP-Address": "10.77.0.7", Class: "0x7374616666" };

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
    writeFileSync(join(folder, "hosts"), `192.0.2.1 ${DOMAIN}\n`);
    hosts.right.run("mount", ["--bind", join(folder, "hosts"), "/etc/hosts"]);
    const { authority, server } = await lab();
    const certificate = server.chain.map((each) => writePem("CERTIFICATE", each)).join("");
    const key = String(server.key.export({ type: "pkcs8", format: "pem" }));
    const ca = writePem("CERTIFICATE", authority.certificate);
    for (const [name, text] of [
      ["full.pem", certificate],
      ["key.pem", key],
      ["ca.pem", ca],
    ] as const)
      writeFileSync(join(folder, name), text, { mode: 0o600 });
    freeradius = await startFreeradius({
      host: hosts.left,
      secret: SECRET,
      users: USERS,
      tls: { certificate, key, ca },
    });
    gateway = await startIkebana(
      hosts.left,
      `gateway:
  domain: ${DOMAIN}
  certificate: full.pem
  key: key.pem
  auth: radius
  pool: 10.77.0.0/24
radius: { servers: [{ address: 127.0.0.1, secret: "${SECRET}" }], accounting: { interim: 1s }, disconnect: {} }
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

  /** One after another: of several, ping waits for the last ones two round trips only. */
  function ping(count: number): void {
    for (let number = 0; number < count; number++) {
      const { stdout } = hosts.right.run("ping", ["-c", "1", "-W", "10", "10.77.0.1"]);
      expect(stdout).toContain("1 received");
    }
  }

  /** Attributes of the accounting records of one kind, as FreeRADIUS has written them down. */
  function records(status: string, session?: string): readonly Record<string, string>[] {
    return freeradius.detail
      .split("\n\n")
      .map((text) =>
        Object.fromEntries(
          [...text.matchAll(/^\t([\w-]+) = "?([^"\n]*)"?$/gm)].map(([, name, value]) => [name!, value!]),
        ),
      )
      .filter((record) => record["Acct-Status-Type"] === status)
      .filter((record) => session === undefined || record["Acct-Session-Id"] === session);
  }

  function connect(password: string): HostProcess {
    const words = [
      ...[MAIN, "connect", DOMAIN, "--user", "anna", "--password-stdin"],
      ...["--ca", join(folder, "ca.pem"), "--network", "10.77.0.0/24"],
      ...["-s", join(folder, "client.sock"), "--state", join(folder, "client-state")],
    ];
    const line = [process.execPath, ...words].map((word) => `'${word}'`).join(" ");
    return new HostProcess(hosts.right, ["sh", "-c", `echo '${password}' | ${line}`]);
  }

  async function connected(): Promise<HostProcess> {
    const client = connect("open sesame");
    await until("the client is connected", () => client.error.includes("connected with"), {
      describe: () => `${client.out}${gateway.log}`,
    });
    return client;
  }

  const clients = async () => (await gateway.connection("gateway")).clients ?? [];
  const nobodyIsConnected = () =>
    until("nobody is connected", async () => (await clients()).length === 0, { describe: () => gateway.log });

  /** What `status` has counted for each child SA, those among them that are gone. */
  class Counted {
    readonly #bySpi = new Map<string, Awaited<ReturnType<typeof clients>>[number]["children"][number]>();
    async look(): Promise<void> {
      for (const child of (await clients()).flatMap(({ children }) => children)) {
        this.#bySpi.set(child.inboundSpi, child);
      }
    }
    get spiCount(): number {
      return this.#bySpi.size;
    }
    /** As records say it. */
    get sums(): Record<string, string> {
      const children = [...this.#bySpi.values()];
      const sum = (direction: "inbound" | "outbound", unit: "packets" | "octets") =>
        String(children.reduce((total, child) => total + child[direction][unit], 0));
      return {
        "Acct-Input-Packets": sum("inbound", "packets"),
        "Acct-Output-Packets": sum("outbound", "packets"),
        "Acct-Input-Octets": sum("inbound", "octets"),
        "Acct-Output-Octets": sum("outbound", "octets"),
        "Acct-Input-Gigawords": "0",
        "Acct-Output-Gigawords": "0",
      };
    }
  }

  test("lets in whom the server lets in, and tells it what they use, over all rekeyings", async () => {
    const client = await connected();
    expect(await clients()).toMatchObject([{ user: "anna", internalAddresses: ["10.77.0.7"] }]);
    const counted = new Counted();
    const control = new ControlClient(join(folder, "client.sock"));
    const [{ name } = { name: "" }] = (await control.status()).connections;
    ping(3);
    await counted.look();
    // The records go on over child SAs and an IKE SA that count from nothing.
    await control.rekey(name, "children");
    ping(4);
    await counted.look();
    await control.rekey(name, "ike");
    await control.rekey(name, "children");
    ping(2);
    await counted.look();
    expect(counted.spiCount).toBe(3);
    expect(counted.sums).toMatchObject({
      "Acct-Input-Packets": "9",
      "Acct-Output-Octets": String(9 * ECHO_LENGTH),
    });
    const isFull = (record: Record<string, string>) =>
      Object.entries(counted.sums).every(([attribute, value]) => record[attribute] === value);
    await until("an update says all that", () => records("Interim-Update").some(isFull));
    await control.stop();
    await client.ended;
    await nobodyIsConnected();
    await until("the server has the last record", () => records("Stop").length > 0);
    const [start, ...further] = records("Start");
    const session = start!["Acct-Session-Id"]!;
    expect(further).toEqual([]);
    expect(start).toMatchObject(WHOSE);
    expect(start).not.toHaveProperty("Acct-Input-Octets");
    const updates = records("Interim-Update", session);
    for (const update of updates) expect(update).toMatchObject(WHOSE);
    const octets = updates.map((update) => Number(update["Acct-Input-Octets"]));
    expect(octets).toEqual([...octets].sort((a, b) => a - b));
    expect(records("Stop")).toEqual([
      expect.objectContaining({
        ...WHOSE,
        ...counted.sums,
        "Acct-Session-Id": session,
        "Acct-Terminate-Cause": "User-Request",
      }),
    ]);
  });

  test("lets nobody in with a wrong password", async () => {
    const started = records("Start").length;
    const client = connect("close sesame");
    expect(await client.ended).toMatchObject({ code: 4 });
    expect(await clients()).toEqual([]);
    expect(records("Start")).toHaveLength(started);
  });

  /** FreeRADIUS' own client sends the request; its exit code and what came back. */
  function radclient(
    attributes: readonly string[],
    { code = "disconnect", secret = SECRET, patience = 2 } = {},
  ): string {
    const { stdout, stderr } = hosts.left.run("sh", [
      "-c",
      `printf '%s\\n' "$@" | radclient -x -r 1 -t ${patience} 127.0.0.1:3799 ${code} '${secret}' 2>&1 || true`,
      "radclient",
      ...attributes,
    ]);
    return `${stdout}${stderr}`;
  }

  test("a server that is dead harms nobody who is connected, gets the records later, and may end the session", async () => {
    const before = records("Stop").length;
    const client = await connected();
    await until("the session is told of", () => records("Start").length === before + 1);
    const session = records("Start").at(-1)!["Acct-Session-Id"]!;
    const counted = new Counted();
    ping(2);
    await freeradius.kill();
    await until("records wait", () => gateway.log.includes("accounting records wait: no answer"));
    ping(5);
    await counted.look();
    const { sums } = counted;
    expect(sums).toMatchObject({ "Acct-Input-Packets": "7" });

    const now = () => `Event-Timestamp = ${Math.floor(Date.now() / 1000)}`;
    const signed = "Message-Authenticator = 0x00";
    const user = "User-Name = anna";
    expect(radclient([user, now(), signed], { code: "coa" })).toMatch(/CoA-NAK[\s\S]*Unsupported-Extension/);
    expect(radclient(["User-Name = berta", now(), signed])).toMatch(
      /Disconnect-NAK[\s\S]*Session-Context-Not-Found/,
    );
    expect(radclient([user, signed])).toMatch(/Disconnect-NAK[\s\S]*Missing-Attribute/);
    expect(radclient([user, now(), signed], { secret: "another secret", patience: 0.3 })).toContain(
      "No reply",
    );
    await gateway.logged("requests to end sessions were not heard: 1 forged");
    expect(await clients()).toHaveLength(1);
    ping(1);
    await counted.look();
    expect(radclient([`Acct-Session-Id = ${session}`, user, now(), signed])).toContain("Disconnect-ACK");
    await nobodyIsConnected();
    await new ControlClient(join(folder, "client.sock")).stop();
    await client.ended;

    // Acct-Delay-Time counts whole seconds.
    await setTimeout(1000);
    await freeradius.start();
    await until("the server has the last record", () => records("Stop").length > before);
    const [stop, ...further] = records("Stop", session);
    expect(further).toEqual([]);
    expect(stop).toMatchObject({
      ...WHOSE,
      ...counted.sums,
      "Acct-Terminate-Cause": "Admin-Reset",
    });
    expect(Number(stop!["Acct-Delay-Time"])).toBeGreaterThan(0);
    await gateway.logged("accounting records go out again; none was lost");
  });
});
