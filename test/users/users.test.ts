import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ntHash } from "../../src/crypto/nt-hash.ts";
import { PolicyError } from "../../src/errors/index.ts";
import { LiveUsers } from "../../src/users/live-users.ts";
import { faultOfName, faultOfPassword, type User } from "../../src/users/user.ts";
import { UsersDocument, UsersError } from "../../src/users/users-document.ts";
import { changeUsers, loadUsers } from "../../src/users/users-file.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-users-"));
  path = join(folder, "users.yaml");
});
afterEach(() => rmSync(folder, { recursive: true }));

const HASH = "44ebba8d5312b8d611474411f56989ae";

describe("the file", () => {
  test("holds names, hashes and what differs for a user; a hash of digits is no number", () => {
    const digits = "12345678901234567890123456789012";
    writeFileSync(
      path,
      `# ours\nusers:\n  anna: { nthash: ${HASH} }\n  bert:\n    nthash: ${digits}\n    disabled: true\n    devices: 2\n    expires: 2027-01-31\n`,
    );
    const { users } = loadUsers(path);
    expect(users.map(plain)).toEqual([
      { name: "anna", ntHash: HASH, isDisabled: false, devices: undefined, expires: undefined },
      { name: "bert", ntHash: digits, isDisabled: true, devices: 2, expires: "2027-01-31" },
    ]);
  });

  test.each([
    ["users:\n  anna: { nthash: 12 }", "2:19: an nthash is 32 hex digits; ikebana users passwd writes it"],
    [
      "users:\n  anna: { password: sesame }",
      "2:11: clear passwords are not kept here; ikebana users passwd writes their hash",
    ],
    [
      `users:\n  anna: { nthash: ${HASH}, dsabled: true }`,
      '2:53: unknown key "dsabled"; a user has nthash, disabled, devices, expires',
    ],
    [`users:\n  anna: { nthash: ${HASH}, disabled: yes }`, "2:63: disabled is true or false"],
    [`users:\n  anna: { nthash: ${HASH}, devices: 0 }`, "2:62: devices is a number from 1 to 1000"],
    [`users:\n  anna: { nthash: ${HASH}, expires: 2027-02-30 }`, "2:62: expires is a day such as 2027-01-31"],
    ["users:\n  anna:\n", '2:3: "anna" needs an nthash'],
    [
      `users:\n  'OFFICE\\anna': { nthash: ${HASH} }`,
      '2:3: "OFFICE\\\\anna": write the name without a domain',
    ],
    [
      `users:\n  anna: { nthash: ${HASH} }\n  Anna: { nthash: ${HASH} }`,
      '3:3: "Anna" is here twice: case does not matter',
    ],
    [`users:\n  anna: { nthash: ${HASH} }\n  anna: { nthash: ${HASH} }`, "3:3: this key is here twice"],
    [`users:\n  anna: &a { nthash: ${HASH} }\n  bert: *a`, "3:9: aliases are not read here"],
    ["anna: x", '1:1: unknown key "anna"; here stands "users"'],
    ["users: [anna]", "1:8: users are entries with a name each"],
    ["- anna", '1:1: the file begins with "users:"'],
    ["users: {", "1:9: not YAML (bad indent)"],
  ])("%j is refused with the place and the reason", (text, reason) => {
    const fault = faultOf(() => new UsersDocument(text, "users.yaml"));
    expect(fault).toBeInstanceOf(UsersError);
    expect(fault?.message).toMatch(/^users\.yaml:\d+:\d+: /);
    expect(fault?.message).toContain(reason);
    expect(fault?.message).not.toContain("sesame");
  });

  test("all problems are told at once", () => {
    const fault = faultOf(() => new UsersDocument("users:\n  a: { nthash: 1 }\n  b: {}\n", "u"));
    expect(fault?.message.split("\n")).toHaveLength(2);
  });

  test("no text makes the reader throw anything else", () => {
    const pieces = fc.constantFrom(
      "users:",
      "\n",
      "  ",
      "anna:",
      "nthash: ",
      HASH,
      "{",
      "}",
      "[",
      "&a",
      "*a",
      "- ",
      "!!x ",
      "'",
      "?",
    );
    const texts = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(pieces).map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const fault = faultOf(() => new UsersDocument(text, "u"));
        expect(fault === undefined || fault instanceof UsersError).toBe(true);
      }),
      { seed: 2759, numRuns: 500 },
    );
  });

  test("that is missing, no text, or open to others is told of", () => {
    expect(() => loadUsers(path)).toThrow(/^there is no users file at .*; ikebana users add NAME makes it$/);
    writeFileSync(path, Uint8Array.of(0xff, 0xfe));
    expect(() => loadUsers(path)).toThrow("is not UTF-8 text");
    expect(() => loadUsers(folder)).toThrow("is not a file");
    writeFileSync(path, "users:\n");
    chmodSync(path, 0o646);
    expect(loadUsers(path)).toEqual({
      users: [],
      warnings: [
        `${path} can be read by everybody; try: chmod 600 ${path}`,
        `${path} can be changed by others than its owner; try: chmod 600 ${path}`,
      ],
    });
    chmodSync(path, 0o600);
    expect(loadUsers(path).warnings).toEqual([]);
  });
});

describe("a change", () => {
  test("makes the file, for its owner only, and holds no clear password", () => {
    changeUsers(path, (draft) => draft.put(user("anna", "open sesame")));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(loadUsers(path).users.map(plain)).toEqual([plain(user("anna", "open sesame"))]);
    expect(readFileSync(path, "utf8")).not.toContain("sesame");
    expect(readdirSync(folder)).toEqual(["users.yaml"]);
  });

  test("keeps mode, comments, order and what it does not concern", () => {
    const text = `# the office\nusers:\n  # since 2019\n  anna:\n    nthash: ${HASH} # strong\n    devices: 2\n  bert:\n    nthash: ${HASH}\n`;
    writeFileSync(path, text, { mode: 0o640 });
    chmodSync(path, 0o640);
    changeUsers(path, (draft) => {
      draft.put({ ...draft.find("ANNA")!, isDisabled: true });
      draft.remove("Bert");
      draft.put({ ...user("cleo", "x"), expires: "2030-12-31" });
    });
    expect(readFileSync(path, "utf8")).toBe(
      `# the office\nusers:\n  # since 2019\n  anna:\n    nthash: ${HASH} # strong\n    devices: 2\n    disabled: true\n  cleo:\n    nthash: ${Buffer.from(ntHash("x")).toString("hex")}\n    expires: 2030-12-31\n`,
    );
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  test("that throws changes nothing, and leaves nothing behind", () => {
    changeUsers(path, (draft) => draft.put(user("anna", "x")));
    const before = readFileSync(path, "utf8");
    const inode = statSync(path).ino;
    expect(() =>
      changeUsers(path, (draft) => {
        draft.remove("anna");
        draft.remove("nobody");
      }),
    ).toThrow('there is no user "nobody"');
    expect(() => changeUsers(path, (draft) => draft.put(user("a\nb", "x")))).toThrow(PolicyError);
    expect(readFileSync(path, "utf8")).toBe(before);
    expect(statSync(path).ino).toBe(inode);
    expect(readdirSync(folder)).toEqual(["users.yaml"]);
  });

  test("goes through a link, and past what a change that died has left", () => {
    changeUsers(path, (draft) => draft.put(user("anna", "x")));
    const link = join(folder, "link.yaml");
    symlinkSync(path, link);
    writeFileSync(`${path}.new`, "half a fi");
    utimesSync(`${path}.new`, 1, 1);
    changeUsers(link, (draft) => draft.put(user("bert", "y")));
    expect(loadUsers(path).users.map(({ name }) => name)).toEqual(["anna", "bert"]);
    expect(readdirSync(folder).sort()).toEqual(["link.yaml", "users.yaml"]);
  });

  test("can be read again, whatever the name", () => {
    const names = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 30 })
      .filter((name) => faultOfName(name) === undefined);
    fc.assert(
      fc.property(
        fc.uniqueArray(names, { maxLength: 5, selector: (name) => name.normalize("NFC").toLowerCase() }),
        (all) => {
          const document = new UsersDocument("users: {}", "u");
          for (const name of all) document.put(user(name, "x"));
          const again = new UsersDocument(document.toString(), "u");
          expect(again.users.map(({ name }) => name)).toEqual(all);
        },
      ),
      { seed: 7542, numRuns: 100 },
    );
  });
});

describe("a gateway that runs", () => {
  test("sees at the next look-up who was added, changed, disabled and removed", () => {
    changeUsers(path, (draft) => draft.put(user("Anna", "x")));
    const { users, onChange } = live();
    expect(users.find("aNNa")).toEqual({
      name: "Anna",
      ntHash: ntHash("x"),
      devices: undefined,
      refusal: undefined,
    });
    changeUsers(path, (draft) => {
      draft.put({ ...draft.find("anna")!, isDisabled: true, ntHash: ntHash("y") });
      draft.put(user("bert", "z"));
    });
    expect(users.find("anna")).toMatchObject({ refusal: "disabled", ntHash: ntHash("y") });
    expect(users.find("bert")).toMatchObject({ name: "bert" });
    changeUsers(path, (draft) => draft.remove("anna"));
    expect(users.find("anna")).toBeUndefined();
    expect(onChange).toHaveBeenCalledTimes(2);
    users.close();
  });

  test("keeps whom it knew while the file is broken or gone, says so once, and goes on", () => {
    changeUsers(path, (draft) => draft.put(user("anna", "x")));
    const { users, onProblem } = live();
    writeFileSync(path, "users: [");
    for (let i = 0; i < 3; i++) expect(users.find("anna")).toBeDefined();
    expect(onProblem).toHaveBeenCalledTimes(1);
    rmSync(path);
    for (let i = 0; i < 3; i++) expect(users.find("anna")).toBeDefined();
    expect(onProblem).toHaveBeenCalledTimes(2);
    changeUsers(path, (draft) => draft.put(user("bert", "x")));
    expect(users.find("anna")).toBeUndefined();
    expect(users.find("bert")).toBeDefined();
    users.close();
  });

  test("refuses a login from the day after it expires", () => {
    changeUsers(path, (draft) => draft.put({ ...user("anna", "x"), expires: "2027-01-31" }));
    let now = Date.parse("2027-01-31T23:59:59Z");
    const { users } = live(() => now);
    expect(users.find("anna")?.refusal).toBeUndefined();
    now += 1000;
    expect(users.find("anna")?.refusal).toBe("expired");
    users.close();
  });

  test("wipes hashes that are no longer good, and all at its end", () => {
    changeUsers(path, (draft) => draft.put(user("anna", "x")));
    const { users } = live();
    const first = users.find("anna")!.ntHash;
    changeUsers(path, (draft) => draft.put(user("anna", "y")));
    const second = users.find("anna")!.ntHash;
    expect(first).toEqual(new Uint8Array(16));
    expect(second).toEqual(ntHash("y"));
    users.close();
    expect(second).toEqual(new Uint8Array(16));
    expect(users.find("anna")).toBeUndefined();
  });

  test("hears of a change without a login", () => {
    vi.useFakeTimers();
    try {
      changeUsers(path, (draft) => draft.put(user("anna", "x")));
      const { users, onChange } = live();
      changeUsers(path, (draft) => draft.remove("anna"));
      vi.advanceTimersByTime(1_000);
      expect(onChange).toHaveBeenCalledTimes(1);
      vi.advanceTimersByTime(5_000);
      expect(onChange).toHaveBeenCalledTimes(1);
      users.close();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

test("names and passwords that cannot be are refused with the reason", () => {
  expect(faultOfName("anna.berg@example.org")).toBeUndefined();
  expect(faultOfName("")).toBe("a user name is empty");
  expect(faultOfName("a".repeat(254))).toContain("longer than 253 octets");
  expect(faultOfName(" anna")).toBe('" anna" begins or ends with a space');
  expect(faultOfName("an\u200bna")).toContain("cannot be seen");
  expect(faultOfPassword("correct horse")).toBeUndefined();
  expect(faultOfPassword("")).toBe("the password is empty");
  expect(faultOfPassword("x".repeat(257))).toBe("the password is longer than 256 characters");
  expect(faultOfPassword("a\tb")).toBe("the password holds a control character");
});

function user(name: string, password: string): User {
  return { name, ntHash: ntHash(password), isDisabled: false, devices: undefined, expires: undefined };
}

function live(today = () => 0) {
  const [onProblem, onChange] = [vi.fn(), vi.fn()];
  return { users: new LiveUsers({ path, today, onProblem, onChange }), onProblem, onChange };
}

function plain(of: User) {
  return { ...of, ntHash: Buffer.from(of.ntHash).toString("hex") };
}

function faultOf(action: () => unknown): Error | undefined {
  try {
    action();
    return undefined;
  } catch (cause) {
    return cause as Error;
  }
}
