import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ikebana, ikebanaAtTerminal, ikebanaWithInput } from "./children.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-profile-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ANNA = ["profile", "anna", "--domain", "vpn.example.org"];

describe.concurrent("profile", () => {
  test("without a kind of client is the card", async () => {
    const { code, out } = await ikebana(...ANNA);
    expect([code, out]).toEqual([0, expect.stringMatching(/^VPN vpn\.example\.org for anna\n/)]);
  });

  test("of a kind goes to the output", async () => {
    const { code, out } = await ikebana(...ANNA, "--for", "android");
    expect([code, JSON.parse(out)]).toMatchObject([0, { type: "ikev2-eap", local: { eap_id: "anna" } }]);
  });

  test("goes into a file that others cannot read, or into a folder under a name of its own", async () => {
    const file = join(folder, "anna.mobileconfig");
    expect(await ikebana(...ANNA, "--for", "apple", "-o", file)).toEqual({
      code: 0,
      out: "",
      error: `written to ${file}\n`,
    });
    expect(readFileSync(file, "utf8")).toContain("<plist");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await ikebana(...ANNA, "--for", "windows", "-o", folder)).code).toBe(0);
    expect(existsSync(join(folder, "vpn.example.org-anna.ps1"))).toBe(true);
  });

  test("shows a QR code", async () => {
    const { code, out } = await ikebana(...ANNA, "--qr");
    expect([code, out]).toEqual([0, expect.stringMatching(/^█+\n/)]);
  });

  test("takes a password from the standard input", async () => {
    const words = [...ANNA, "--for", "android", "--password-stdin"];
    const { out } = await ikebanaWithInput("correct horse\nmore\n", ...words);
    expect(JSON.parse(out)).toMatchObject({ local: { shared_secret: "correct horse" } });
    expect(await ikebanaWithInput("", ...words)).toMatchObject({
      code: 1,
      error: "ikebana: the password is empty\n",
    });
  });

  test("asks for a password without showing it", async () => {
    const words = [...ANNA, "--for", "apple", "--with-password", "-o", join(folder, "secret.mobileconfig")];
    const { code, out } = await ikebanaAtTerminal(words, [["Password of anna: ", "correct horse"]]);
    expect([code, out]).toEqual([0, expect.not.stringContaining("horse")]);
    expect(readFileSync(join(folder, "secret.mobileconfig"), "utf8")).toContain(
      "<string>correct horse</string>",
    );
  });

  test.each<[readonly string[], string]>([
    [["profile", "anna", "--domain", "vpn example"], '"vpn example" is not a domain name'],
    [[...ANNA, "--for", "nokia"], "Allowed choices are windows, apple, android, networkmanager"],
    [["profile", "an\nna", "--domain", "vpn.example.org"], "characters that cannot be typed"],
    [[...ANNA, "--with-password"], "there is no terminal to ask at"],
    [[...ANNA, "--ca", "/nonexistent.pem"], "/nonexistent.pem is not a certificate"],
  ])("%j is wrong use", async (words, message) => {
    const { code, error } = await ikebana(...words);
    expect([code, error]).toEqual([1, expect.stringContaining(message)]);
  });

  test("cannot be written where there is no such folder", async () => {
    const { code, error } = await ikebana(...ANNA, "-o", join(folder, "none", "x"));
    expect([code, error]).toEqual([1, expect.stringContaining("cannot write")]);
  });
});
