import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problem.ts";

const parse = (text: string) => parseConfig({ text, file: "/etc/ikebana/ikebana.yaml" });

function connection(remote: string, more = "", top = ""): string {
  return `${top}
connections:
  office:
    local: { id: a, psk: "a secret of the test, long enough" }
    remote: { id: b, ${remote} }
    children: { lan: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }
    ${more}
`;
}

const tcpOf = (remote: string, more = "") => parse(connection(remote, more)).connections[0]!.tcp;

function problemsOf(text: string): string {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ message }) => message).join("\n");
    throw error;
  }
  throw new Error("the text was accepted");
}

describe("tcp of a connection", () => {
  test("is tried where UDP is silent, unless the file says otherwise", () => {
    expect(tcpOf("address: 192.0.2.1")).toEqual({ mode: "auto", port: 4500 });
    expect(tcpOf("address: vpn.example.org, tcpPort: 443")).toEqual({ mode: "auto", port: 443 });
    expect(tcpOf("address: 192.0.2.1, port: 14500", "tcp: always")).toEqual({ mode: "always", port: 14_500 });
    expect(tcpOf("address: 192.0.2.1", "tcp: never")).toBeUndefined();
    expect(tcpOf("address: 192.0.2.1", "encapsulation: raw")).toBeUndefined();
    expect(tcpOf("")).toBeUndefined();
  });

  test("is for whoever calls, and not beside raw ESP", () => {
    expect(problemsOf(connection("", "tcp: auto"))).toContain("there is no remote.address to call");
    const both = connection("address: 192.0.2.1", "tcp: always\n    encapsulation: raw");
    expect(problemsOf(both)).toContain("encapsulation: raw does without");
    expect(problemsOf(connection("address: 192.0.2.1", "tcp: sometimes"))).toContain("always");
  });
});

describe("listen.tcp", () => {
  const portOf = (listen: string) =>
    parse(connection("address: 192.0.2.1", "", `listen: ${listen}`)).listen.tcpPort;

  test("is off without a gateway, and otherwise as the file says", () => {
    expect(portOf("0.0.0.0")).toBeUndefined();
    expect(portOf("{ tcp: off }")).toBeUndefined();
    expect(portOf('{ tcp: "off" }')).toBeUndefined();
    expect(portOf("{ tcp: 443 }")).toBe(443);
  });

  test.each(["0", "65536", "on", "4.5", "-1"])("%s is no port", (tcp) => {
    const text = connection("address: 192.0.2.1", "", `listen: { tcp: ${tcp} }`);
    expect(problemsOf(text)).toContain(`a TCP port from 1 to 65535, or off; not ${tcp}`);
  });
});
