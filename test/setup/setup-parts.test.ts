import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { configurationText } from "../../src/setup/configuration-text.ts";
import { deployHook } from "../../src/setup/deploy-hook.ts";
import { choosePools, usableResolvers } from "../../src/setup/networks.ts";

describe("the configuration that setup writes", () => {
  test("says what was chosen, lists on one line, odd paths included", () => {
    const choices = {
      domain: "vpn.example.org",
      certificate: "certificates/full: chain #1.pem",
      key: "certificates/privkey.pem",
      users: "users.yaml",
      pool: ["10.77.0.0/24", "fd12:3456:789a::/64"],
      dns: ["192.0.2.53"],
    };
    const text = configurationText(choices);
    expect(parse(text)).toEqual({ gateway: { ...choices, nat: true } });
    expect(text).toMatch(/^ {2}pool: \[10\.77\.0\.0\/24, .*\]$/m);
    expect(parse(configurationText({ ...choices, dns: [] })).gateway).not.toHaveProperty("dns");
  });
});

describe("pools", () => {
  test("keep clear of the machine's own networks", () => {
    expect(choosePools("vpn.example.org", ["192.0.2.7/24"])[0]).toBe("10.77.0.0/24");
    expect(choosePools("vpn.example.org", ["10.77.0.1/24", "10.78.0.0/15"])[0]).toBe("10.80.0.0/24");
    expect(choosePools("vpn.example.org", ["10.0.0.0/8"])[0]).toBe("10.77.0.0/24");
  });

  test("have a unique local IPv6 network that belongs to the domain", () => {
    const [, ipv6] = choosePools("vpn.example.org", []);
    expect(ipv6).toMatch(/^fd[0-9a-f]{2}(:[0-9a-f]{1,4}){2}::\/64$/);
    expect(choosePools("vpn.example.org", [])[1]).toBe(ipv6);
    expect(choosePools("vpn.example.com", [])[1]).not.toBe(ipv6);
  });
});

describe("resolvers", () => {
  test("of this machine or of one link alone are no use to clients", () => {
    const stub = "# stub\nnameserver 127.0.0.53\nnameserver ::1\nnameserver fe80::1%eth0\noptions edns0\n";
    const real = "search example.org\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n";
    expect(usableResolvers([stub])).toEqual([]);
    expect(usableResolvers([stub, real])).toEqual(["192.0.2.53", "2001:db8::53"]);
    expect(usableResolvers([real, stub])).toEqual(["192.0.2.53", "2001:db8::53"]);
    expect(usableResolvers(["nameserver nonsense", ""])).toEqual([]);
  });
});

describe("the deploy hook", () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "ikebana-hook '$x "));
    mkdirSync(join(folder, "live/vpn.example.org"), { recursive: true });
    mkdirSync(join(folder, "out"));
    writeFileSync(join(folder, "live/vpn.example.org/fullchain.pem"), "chain");
    writeFileSync(join(folder, "live/vpn.example.org/privkey.pem"), "key");
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(lineage: string, reload: readonly string[]): void {
    const hook = deployHook({
      lineage: "vpn.example.org",
      certificate: join(folder, "out/fullchain.pem"),
      key: join(folder, "out/privkey.pem"),
      reload,
    });
    execFileSync("sh", ["-c", hook], {
      env: { ...process.env, RENEWED_LINEAGE: join(folder, "live", lineage) },
    });
  }

  test("leaves other certificates alone", () => {
    run("www.example.org", ["false"]);
    expect(() => statSync(join(folder, "out/fullchain.pem"))).toThrow("ENOENT");
  });

  test("copies both files, the key for its owner alone, and tells the gateway when both are there", () => {
    const seen = join(folder, "seen");
    run("vpn.example.org", ["cp", "-r", join(folder, "out"), seen]);
    expect(readFileSync(join(seen, "fullchain.pem"), "utf8")).toBe("chain");
    expect(readFileSync(join(seen, "privkey.pem"), "utf8")).toBe("key");
    expect(statSync(join(folder, "out/privkey.pem")).mode & 0o777).toBe(0o600);
  });

  test("does not fail because no gateway runs", () => {
    expect(() => run("vpn.example.org", ["false"])).not.toThrow();
  });
});
